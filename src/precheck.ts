import { type Attempt, attempt, type Checked, failures, notesOf, usable, withVersions } from "./attempt.ts";
import { decide } from "./compat/decide.ts";
import { annotate, conclude, type Decision } from "./compat/decision.ts";
import { override, overridesFor } from "./compat/override.ts";
import type { Policy } from "./compat/policy.ts";
import { type Reason, reason, type Verdict } from "./compat/reason.ts";
import { type Departure, freeDevices, hasNothingButPorts, outsetOf } from "./departure.ts";
import { repluggedPorts } from "./ports.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** Nova's question: may this instance move from here to there? */
export interface PrecheckRequest extends Departure {
	readonly dest_host: string;
}

/** All that a check needs of its call is for the agents. */
export type CheckOptions = FetchOptions;

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
	/** When it was begun, in milliseconds since 1970. */
	readonly at: number;
	/** Milliseconds. */
	readonly duration: number;
	/** Left out where we were asked. */
	readonly shadow?: Shadowed | undefined;
}

/** A decision that no check came to, for whoever keeps a record of it: the request could not be read, or its call had no time for a check. */
export interface UnmadeCheck {
	/** As much of it as is known. */
	readonly request: Partial<PrecheckRequest>;
	readonly policy: Policy;
	readonly decision: Checked;
	readonly options: Pick<CheckOptions, "request_id" | "global_request_id">;
	/** When it was decided, in milliseconds since 1970. */
	readonly at: number;
}

/** What Nova did with a destination that it asked; `unseen` when that cannot be told. */
export type Outcome = "accepted" | "refused" | "unseen";

/** What became of a check that Nova knows nothing of. */
export interface Shadowed {
	readonly cell: string;
	readonly nova: Outcome;
	/** The decision about the devices that Nova has chosen. */
	readonly exact?: Decision | undefined;
}

/** Takes note of a check; must not throw. */
export type Witness = (made: MadeCheck) => void;
export type Check = (request: PrecheckRequest, options: CheckOptions) => Promise<MadeCheck>;
export type Precheck = (request: PrecheckRequest, options: CheckOptions) => Promise<Checked>;

/** The use case, for who answers: the check, and a witness of it. */
export function createPrecheck(
	snapshots: SnapshotSource,
	policy: () => Policy,
	witness: Witness = () => undefined,
): Precheck {
	const makeCheck = createCheck(snapshots, policy);
	return async (request, options) => {
		const made = await makeCheck(request, options);
		witness(made);
		return made.decision;
	};
}

/** The use case: take both snapshots, pick the devices and what is free for them, decide. */
export function createCheck(snapshots: SnapshotSource, policy: () => Policy): Check {
	return async (request, options) => {
		const [at, started] = [Date.now(), performance.now()];
		const { source_host, dest_host } = request;
		const ask = askAbout(request, snapshots, options);
		const [source, target] = await Promise.all([ask(source_host), ask(dest_host)]);
		const basis = { source, target, policy: policy() };
		const decision = checkAgain(request, basis);
		return { request, basis, decision, options, at, duration: performance.now() - started };
	};
}

/** Asks the agents of hosts, if there is something to ask about this instance. */
export function askAbout(
	departure: Departure,
	snapshots: SnapshotSource,
	options: FetchOptions,
): (host: string) => Asked | Promise<Asked> {
	const isAsked = !hasNothingButPorts(departure);
	return (host) => (isAsked ? attempt(snapshots, host, options) : "not asked");
}

/** The check, from what it was made of: pure, so that it gives the same decision whenever it is made. */
export function checkAgain(request: PrecheckRequest, basis: Basis): Checked {
	const question = questionOf(request, basis);
	return question ? compared(decide(question), request, basis) : uncompared(request, basis);
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

/** The engine's decision, with what there is to say beside it. */
export function compared(decision: Decision, request: PrecheckRequest, { source, target, policy }: Basis): Checked {
	if (source === "not asked" || target === "not asked") return decision;
	const [from, to] = [usable(source, policy), usable(target, policy)];
	const notes = [...notesOf(from), ...repluggedPorts(request, from), ...notesOf(to)];
	return withVersions(annotate(decision, notes), [source, target]);
}

/** The decision where no device can be compared. */
export function uncompared(request: PrecheckRequest, { source, target, policy }: Basis): Checked {
	if (source === "not asked" || target === "not asked") return unasked(request, policy);
	const [from, to] = [usable(source, policy), usable(target, policy)];
	const outset = outsetOf(from, request);
	const { verdict, reasons } =
		"reasons" in outset && !(from instanceof SnapshotError)
			? outset
			: { verdict: "unknown" as const, reasons: failures(from, to) };
	const decision = withoutComparison(verdict, reasons, request, policy);
	return withVersions(annotate(decision, [...notesOf(from), ...repluggedPorts(request, from)]), [source, target]);
}

function unasked(request: PrecheckRequest, policy: Policy): Decision {
	const message = `instance ${request.instance_uuid} has no device that stays attached, by its flavor and PCI requests: no agent was asked`;
	const decision = withoutComparison("accept", [reason("device.none", "precheck", message)], request, policy);
	return annotate(decision, repluggedPorts(request));
}

/** An override may apply to it all the same. */
function withoutComparison(
	verdict: Verdict,
	reasons: readonly Reason[],
	request: PrecheckRequest,
	policy: Policy,
): Decision {
	const place = { source_host: request.source_host, target_host: request.dest_host };
	const left = override(reasons, overridesFor(policy.overrides, place));
	// Of which kind the devices are, their names say too: the id is that of builds which did not count by kind.
	const { pci: _, ...announced } = request.announced;
	// Not what the reasons say in words, which may name an age: the same question has the same id.
	const question = { ...request, announced };
	return conclude(verdict, left, policy, [question, reasons.map(({ code, device }) => [code, device])]);
}
