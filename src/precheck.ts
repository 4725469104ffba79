import { decide } from "./compat/decide.ts";
import { annotate, conclude, type Decision } from "./compat/decision.ts";
import { fleetOf, type HostOffer } from "./compat/fleet.ts";
import { once } from "./compat/once.ts";
import { override, overridesFor } from "./compat/override.ts";
import type { Policy } from "./compat/policy.ts";
import { byStanding, decisionsIn, type Ranking, rank, rankingOf, unplaced } from "./compat/rank.ts";
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
	readonly ports: readonly Port[];
	/** How many devices that stay attached Nova knows of, in which words, and whether there can be no others. */
	readonly announced: { readonly count: number; readonly names: string; readonly complete: boolean };
}

/** A Neutron port that has a device of its own on the source. */
export interface Port {
	readonly id: string | undefined;
	readonly vnic_type: string | undefined;
	/** Of its PCI function. */
	readonly address: string | undefined;
	/** Unplugged before the migration, and plugged in again after it. */
	readonly isReplugged: boolean;
}

/** Nova's question: may this instance move from here to there? */
export interface PrecheckRequest extends Departure {
	readonly dest_host: string;
}

/** The question of whoever chooses the destination: to which of these hosts best? */
export interface RankRequest extends Departure {
	readonly dest_hosts: readonly string[];
	/** How many of them the answer is to name; left out, all. */
	readonly limit?: number | undefined;
}

/** A decision, and of which boot and generation the snapshots are that it was made of, as far as the agents say. */
export interface Checked extends Decision {
	readonly snapshots?: Readonly<Record<string, Pick<Snapshot, "boot_id" | "generation">>>;
}

export interface CheckOptions extends FetchOptions {
	readonly global_request_id?: string | undefined;
}

/** A snapshot, or why there is none. */
export type Attempt = Snapshot | SnapshotError;

/** Nobody is asked about an instance that has nothing but ports. */
export type Asked = Attempt | "not asked";

/** What a check was made of: with it, it can be made again. */
export interface Basis {
	readonly source: Asked;
	readonly target: Asked;
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
export type RankDestinations = (request: RankRequest, options: CheckOptions) => Promise<Ranking>;

/** The use case: take both snapshots, pick the devices and what is free for them, decide. `witness` must not throw. */
export function createPrecheck(
	snapshots: SnapshotSource,
	policy: () => Policy,
	witness: (made: MadeCheck) => void = () => undefined,
): Precheck {
	return async (request, options) => {
		const started = performance.now();
		const { source_host, dest_host } = request;
		const ask = async (host: string): Promise<Asked> =>
			hasNothingButPorts(request) ? "not asked" : attempt(snapshots, host, options);
		const [source, target] = await Promise.all([ask(source_host), ask(dest_host)]);
		const basis = { source, target, policy: policy() };
		const decision = checkAgain(request, basis);
		witness({ request, basis, decision, options, duration: performance.now() - started });
		return decision;
	};
}

/** The check, from what it was made of: pure, so that it gives the same decision whenever it is made. */
export function checkAgain(request: PrecheckRequest, { source, target, policy }: Basis): Checked {
	if (source === "not asked" || target === "not asked") return unasked(request, policy);
	return withVersions(check(request, source, target, policy), [source, target]);
}

function hasNothingButPorts({ devices, announced }: PrecheckRequest): boolean {
	return !devices && announced.count === 0 && announced.complete;
}

function unasked(request: PrecheckRequest, policy: Policy): Decision {
	const message = `instance ${request.instance_uuid} has no device that stays attached, by its flavor and PCI requests: no agent was asked`;
	const decision = withoutComparison("accept", [reason("device.none", "precheck", message)], request, policy);
	return annotate(decision, repluggedPorts(request));
}

/** What the engine was asked in a check; undefined where no device could be compared. */
export function questionOf(request: PrecheckRequest, { source: ofSource, target: ofTarget, policy }: Basis) {
	if (ofSource === "not asked" || ofTarget === "not asked") return undefined;
	const [source, target] = [usable(ofSource, policy), usable(ofTarget, policy)];
	const outset = outsetOf(source, request);
	if ("reasons" in outset || target instanceof SnapshotError) return undefined;
	const { source_host, dest_host: target_host } = request;
	return { source_host, target_host, devices: outset.devices, candidates: freeDevices(target.snapshot), policy };
}

function check(request: PrecheckRequest, ofSource: Attempt, ofTarget: Attempt, policy: Policy): Decision {
	const [source, target] = [usable(ofSource, policy), usable(ofTarget, policy)];
	const outset = outsetOf(source, request);
	const notes = [...notesOf(source), ...repluggedPorts(request, source)];
	if ("reasons" in outset) {
		const reasons = source instanceof SnapshotError ? failures(source, target) : outset.reasons;
		return annotate(withoutComparison(outset.verdict, reasons, request, policy), notes);
	}
	if (target instanceof SnapshotError) return annotate(unanswered(target, request, policy), notes);
	const { source_host, dest_host: target_host } = request;
	const candidates = freeDevices(target.snapshot);
	const decision = decide({ source_host, target_host, devices: outset.devices, candidates, policy });
	return annotate(decision, [...notes, ...target.notes]);
}

/** The same for many destinations: all snapshots at once, the hosts in order; one that cannot be asked is unknown. */
export function createRanking(snapshots: SnapshotSource, policy: () => Policy): RankDestinations {
	return async ({ dest_hosts, limit, ...departure }, options) => {
		const { source_host } = departure;
		const hosts = [...new Set(dest_hosts)];
		const attempts = await Promise.all([source_host, ...hosts].map((host) => attempt(snapshots, host, options)));
		const current = policy();
		const [source, ...targets] = attempts.map((one) => usable(one, current));
		const outset = outsetOf(source, departure);
		const uncompared = new Map<string, Decision>();
		const offers: HostOffer[] = [];
		const notes = new Map<string, readonly Reason[]>();
		for (const [index, dest_host] of hosts.entries()) {
			const target = targets[index];
			const request = { ...departure, dest_host };
			if ("reasons" in outset) {
				uncompared.set(dest_host, withoutComparison(outset.verdict, outset.reasons, request, current));
			} else if (target instanceof SnapshotError) {
				uncompared.set(dest_host, unanswered(target, request, current));
			} else if (target) {
				offers.push({ host: dest_host, candidates: freeDevices(target.snapshot) });
				notes.set(dest_host, target.notes);
			}
		}
		const asker = { source_host, devices: "devices" in outset ? outset.devices : [], policy: current };
		const fleet = fleetOf(offers);
		const compared = decisionsIn(fleet, asker);
		const standings = [...rank(asker, fleet), ...[...uncompared].map(unplaced)].sort(byStanding);
		const decisionOn = (host: string) =>
			annotate(uncompared.get(host) ?? compared(host), [...notesOf(source), ...(notes.get(host) ?? [])]);
		return rankingOf(standings, decisionOn, limit);
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
	const isPort = (id: string) => ports.some(({ address }) => address === id);
	return source.devices.filter(({ id, instance, port }) => instance === instance_uuid && !port && !isPort(id));
}

/** What is told of ports and never blocks: Nova's list of them, without one that of the agent, which knows no types. */
function repluggedPorts(request: PrecheckRequest, source?: Usable | SnapshotError): readonly Reason[] {
	const { ports, instance_uuid, devices, dest_host } = request;
	const told = (what: string, device: string | undefined) =>
		reason("port.replugged", "precheck", `${what}, and plugged in again on ${dest_host}`, device ? { device } : {});
	if (ports.length > 0) {
		return ports
			.filter(({ isReplugged }) => isReplugged)
			.map(({ id, vnic_type, address }) => {
				const name = id === undefined ? "a port" : `port ${id}`;
				const kind = [vnic_type, address].filter((word) => word !== undefined).join(" ");
				return told(`${name} (${kind}) is unplugged for the migration`, address);
			});
	}
	if (devices || !source || source instanceof SnapshotError) return [];
	return source.snapshot.devices
		.filter(({ instance, port }) => instance === instance_uuid && port)
		.map(({ id }) =>
			told(`${id} is the device of a port: unless that is macvtap, it is unplugged for the migration`, id),
		);
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

export async function attempt(snapshots: SnapshotSource, host: string, options: FetchOptions): Promise<Attempt> {
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
export function usable(attempted: Attempt, policy: Policy): Usable | SnapshotError {
	if (!(attempted instanceof SnapshotError)) return { snapshot: attempted, notes: [] };
	const { code, message, stale } = attempted;
	if (stale === undefined || !isStaleAccepted(code, policy)) return attempted;
	const text = `${message}; decided with its snapshot of ${stale.age.toFixed(0)} s ago`;
	return { snapshot: stale.snapshot, notes: [reason("snapshot.stale_used", "snapshot", text)] };
}

function notesOf(source: Usable | SnapshotError | undefined): readonly Reason[] {
	return source && "notes" in source ? source.notes : [];
}

export function withVersions(decision: Decision, attempts: readonly Attempt[]): Checked {
	const known = attempts
		.map((one) => (one instanceof SnapshotError ? one.stale?.snapshot : one))
		.filter((snapshot) => snapshot !== undefined)
		.map(({ host, boot_id, generation }) => [host, { boot_id, generation }] as const)
		.filter(([, { boot_id, generation }]) => boot_id !== undefined || generation !== undefined);
	return known.length === 0 ? decision : { ...decision, snapshots: Object.fromEntries(known) };
}

export function failures(...results: readonly (Usable | SnapshotError)[]): readonly Reason[] {
	return results
		.filter((result) => result instanceof SnapshotError)
		.map(({ code, message }) => reason(code, "snapshot", message));
}
