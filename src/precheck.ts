import { decide } from "./compat/decide.ts";
import { annotate, conclude, type Decision } from "./compat/decision.ts";
import { fleetOf, type HostOffer } from "./compat/fleet.ts";
import { once } from "./compat/once.ts";
import { override, overridesFor } from "./compat/override.ts";
import type { Policy } from "./compat/policy.ts";
import { byStanding, type RankedHost, rankDecisions } from "./compat/rank.ts";
import { type Reason, reason, type Verdict } from "./compat/reason.ts";
import { isStaleAccepted } from "./compat/unknown.ts";
import type { Snapshot, SnapshotDevice } from "./snapshot/snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** Which instance shall leave which host. */
export interface Departure {
	readonly instance_uuid: string;
	readonly source_host: string;
	/** Device ids on the source; left out, what the source's snapshot says the instance uses. */
	readonly devices?: readonly string[] | undefined;
	/** PCI addresses on the source that are Neutron ports. */
	readonly ports: readonly string[];
	/** How many devices that stay attached Nova knows of, and in which words. */
	readonly announced: { readonly count: number; readonly names: string };
}

/** Nova's question: may this instance move from here to there? */
export interface PrecheckRequest extends Departure {
	readonly dest_host: string;
}

/** The question of whoever chooses the destination: to which of these hosts best? */
export interface RankRequest extends Departure {
	readonly dest_hosts: readonly string[];
}

/** A decision, and of which boot and generation the snapshots are that it was made of, as far as the agents say. */
export interface Checked extends Decision {
	readonly snapshots?: Readonly<Record<string, Pick<Snapshot, "boot_id" | "generation">>>;
}

interface CheckOptions extends FetchOptions {
	readonly global_request_id?: string | undefined;
}

/** A snapshot, or why there is none. */
export type Attempt = Snapshot | SnapshotError;

/** What a check was made of: with it, it can be made again. */
export interface Basis {
	readonly source: Attempt;
	readonly target: Attempt;
	readonly policy: Policy;
}

/** A check that was made, for whoever keeps a record of it. */
export interface MadeCheck {
	readonly request: PrecheckRequest;
	readonly basis: Basis;
	readonly decision: Checked;
	readonly options: CheckOptions;
	/** Milliseconds. */
	readonly duration: number;
}

export type Precheck = (request: PrecheckRequest, options: CheckOptions) => Promise<Checked>;
export type RankDestinations = (request: RankRequest, options: CheckOptions) => Promise<readonly RankedHost[]>;

/** The use case: take both snapshots, pick the devices and what is free for them, decide. `witness` must not throw. */
export function createPrecheck(
	snapshots: SnapshotSource,
	policy: () => Policy,
	witness: (made: MadeCheck) => void = () => undefined,
): Precheck {
	return async (request, options) => {
		const started = performance.now();
		const { source_host, dest_host } = request;
		const [source, target] = await Promise.all([
			attempt(snapshots, source_host, options),
			attempt(snapshots, dest_host, options),
		]);
		const basis = { source, target, policy: policy() };
		const decision = checkAgain(request, basis);
		witness({ request, basis, decision, options, duration: performance.now() - started });
		return decision;
	};
}

/** The check, from what it was made of: pure, so that it gives the same decision whenever it is made. */
export function checkAgain(request: PrecheckRequest, { source, target, policy }: Basis): Checked {
	return withVersions(check(request, source, target, policy), [source, target]);
}

/** What the engine was asked in a check; undefined where no device could be compared. */
export function questionOf(request: PrecheckRequest, { source: ofSource, target: ofTarget, policy }: Basis) {
	const [source, target] = [usable(ofSource, policy), usable(ofTarget, policy)];
	const outset = outsetOf(source, request);
	if ("reasons" in outset || target instanceof SnapshotError) return undefined;
	const { source_host, dest_host: target_host } = request;
	return { source_host, target_host, devices: outset.devices, candidates: freeDevices(target.snapshot), policy };
}

function check(request: PrecheckRequest, ofSource: Attempt, ofTarget: Attempt, policy: Policy): Decision {
	const [source, target] = [usable(ofSource, policy), usable(ofTarget, policy)];
	const outset = outsetOf(source, request);
	if ("reasons" in outset) {
		const reasons = source instanceof SnapshotError ? failures(source, target) : outset.reasons;
		return annotate(withoutComparison(outset.verdict, reasons, request, policy), notesOf(source));
	}
	if (target instanceof SnapshotError) {
		return annotate(unanswered(target, request, policy), notesOf(source));
	}
	const { source_host, dest_host: target_host } = request;
	const candidates = freeDevices(target.snapshot);
	const decision = decide({ source_host, target_host, devices: outset.devices, candidates, policy });
	return annotate(decision, [...notesOf(source), ...target.notes]);
}

/** The same for many destinations: all snapshots at once, the hosts in order; one that cannot be asked is unknown. */
export function createRanking(snapshots: SnapshotSource, policy: () => Policy): RankDestinations {
	return async (request, options) => {
		const { dest_hosts, ...departure } = request;
		const hosts = [...new Set(dest_hosts)];
		const attempts = await Promise.all(
			[request.source_host, ...hosts].map((host) => attempt(snapshots, host, options)),
		);
		const current = policy();
		const [source, ...targets] = attempts.map((one) => usable(one, current));
		const outset = outsetOf(source, request);
		const ofSource = notesOf(source);
		if ("reasons" in outset) {
			const { verdict, reasons } = outset;
			return hosts
				.map((host) => unplaced(host, withoutComparison(verdict, reasons, { ...departure, dest_host: host }, current)))
				.map((host) => annotate(host, ofSource))
				.sort(byStanding);
		}
		const offers: HostOffer[] = [];
		const silent: RankedHost[] = [];
		const ofTarget = new Map<string, readonly Reason[]>();
		for (const [index, host] of hosts.entries()) {
			const target = targets[index];
			if (target instanceof SnapshotError) {
				silent.push(unplaced(host, unanswered(target, { ...departure, dest_host: host }, current)));
			} else if (target) {
				offers.push({ host, candidates: freeDevices(target.snapshot) });
				ofTarget.set(host, target.notes);
			}
		}
		const { source_host } = request;
		const asker = { source_host, devices: outset.devices, policy: current };
		return [...rankDecisions(asker, fleetOf(offers)), ...silent]
			.map((host) => annotate(host, [...ofSource, ...(ofTarget.get(host.host) ?? [])]))
			.sort(byStanding);
	};
}

function unanswered(failure: SnapshotError, request: PrecheckRequest, policy: Policy): Decision {
	return withoutComparison("unknown", failures(failure), request, policy);
}

/** A decision that no device was compared for; an override may apply to it all the same. */
function withoutComparison(
	verdict: Verdict,
	reasons: readonly Reason[],
	request: PrecheckRequest,
	policy: Policy,
): Decision {
	const place = { source_host: request.source_host, target_host: request.dest_host };
	const left = override(reasons, overridesFor(policy.overrides, place));
	// Not what the reasons say in words, which may name an age: the same question has the same id.
	return conclude(verdict, left, policy, [request, reasons.map(({ code, device }) => [code, device])]);
}

/** A host of a ranking of which nothing more is known than the decision. */
function unplaced(host: string, decision: Decision): RankedHost {
	return { host, bugfix: null, free_capacity: 0, ...decision };
}

/** The devices that must continue; or what can be said whatever the destination has. */
function outsetOf(
	source: Usable | SnapshotError | undefined,
	departure: Departure,
):
	| { readonly devices: readonly SnapshotDevice[] }
	| { readonly verdict: "accept" | "unknown"; readonly reasons: readonly Reason[] } {
	if (source === undefined || source instanceof SnapshotError) {
		return { verdict: "unknown", reasons: source ? failures(source) : [] };
	}
	const devices = devicesThatStay(source.snapshot, departure);
	const missing = missingDevices(source.snapshot, departure, devices);
	if (missing.length > 0) return { verdict: "unknown", reasons: missing };
	if (devices.length === 0) return { verdict: "accept", reasons: [nothingStays(departure)] };
	return { devices };
}

/** What an instance uses and keeps: a Neutron port is unplugged before the migration and plugged in again after it. */
function devicesThatStay(source: Snapshot, { instance_uuid, devices, ports }: Departure): readonly SnapshotDevice[] {
	if (devices) return source.devices.filter(({ id }) => devices.includes(id));
	return source.devices.filter(({ id, instance, port }) => instance === instance_uuid && !port && !ports.includes(id));
}

/** What the target can give: nothing that an instance has already. */
export const freeDevices = once((target: Snapshot): readonly SnapshotDevice[] =>
	target.devices.filter(({ instance, port }) => instance === undefined && !port),
);

function missingDevices(source: Snapshot, request: Departure, found: readonly SnapshotDevice[]): readonly Reason[] {
	const { devices, announced, instance_uuid } = request;
	if (devices) {
		const ids = new Set(found.map(({ id }) => id));
		return devices
			.filter((id) => !ids.has(id))
			.map((id) =>
				reason("device.not_found", "precheck", `${source.host} has no device ${JSON.stringify(id)}`, { device: id }),
			);
	}
	if (found.length >= announced.count) return [];
	const message =
		`Nova knows of ${announced.count} device${announced.count === 1 ? "" : "s"} of instance ${instance_uuid} that stay attached (${announced.names}), ` +
		`the agent of ${source.host} sees ${found.length} in use by it`;
	return [reason("device.unaccounted", "precheck", message)];
}

function nothingStays({ instance_uuid, source_host }: Departure): Reason {
	return reason(
		"device.none",
		"precheck",
		`instance ${instance_uuid} on ${source_host} has no device that stays attached`,
	);
}

async function attempt(snapshots: SnapshotSource, host: string, options: FetchOptions): Promise<Attempt> {
	try {
		return await snapshots.fetch(host, options);
	} catch (error) {
		if (error instanceof SnapshotError) return error;
		throw error;
	}
}

/** A snapshot to decide with, and what there is to say about it. */
interface Usable {
	readonly snapshot: Snapshot;
	readonly notes: readonly Reason[];
}

/** The policy may let an older snapshot take the place of one that could not be had. */
function usable(attempted: Attempt, policy: Policy): Usable | SnapshotError {
	if (!(attempted instanceof SnapshotError)) return { snapshot: attempted, notes: [] };
	const { code, message, stale } = attempted;
	if (stale === undefined || !isStaleAccepted(code, policy)) return attempted;
	const text = `${message}; decided with its snapshot of ${stale.age.toFixed(0)} s ago`;
	return { snapshot: stale.snapshot, notes: [reason("snapshot.stale_used", "snapshot", text)] };
}

function notesOf(source: Usable | SnapshotError | undefined): readonly Reason[] {
	return source && "notes" in source ? source.notes : [];
}

function withVersions(decision: Decision, attempts: readonly Attempt[]): Checked {
	const known = attempts
		.map((one) => (one instanceof SnapshotError ? one.stale?.snapshot : one))
		.filter((snapshot) => snapshot !== undefined)
		.map(({ host, boot_id, generation }) => [host, { boot_id, generation }] as const)
		.filter(([, { boot_id, generation }]) => boot_id !== undefined || generation !== undefined);
	return known.length === 0 ? decision : { ...decision, snapshots: Object.fromEntries(known) };
}

function failures(...results: readonly (Usable | SnapshotError)[]): readonly Reason[] {
	return results
		.filter((result) => result instanceof SnapshotError)
		.map(({ code, message }) => reason(code, "snapshot", message));
}
