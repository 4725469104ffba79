import type { Decision } from "./compat/decision.ts";
import { once } from "./compat/once.ts";
import type { Policy } from "./compat/policy.ts";
import { type Reason, reason } from "./compat/reason.ts";
import { isStaleAccepted } from "./compat/unknown.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** A snapshot, or why there is none. */
export type Attempt = Snapshot | SnapshotError;

export async function attempt(snapshots: SnapshotSource, host: string, options: FetchOptions): Promise<Attempt> {
	try {
		return await snapshots.fetch(host, options);
	} catch (error) {
		if (error instanceof SnapshotError) return error;
		throw error;
	}
}

/** A snapshot to decide with, and what there is to say about it. */
export interface Usable {
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

export function notesOf(attempted: Usable | SnapshotError): readonly Reason[] {
	return "notes" in attempted ? attempted.notes : [];
}

export function failures(...results: readonly (Usable | SnapshotError)[]): readonly Reason[] {
	return results
		.filter((result) => result instanceof SnapshotError)
		.map(({ code, message }) => reason(code, "snapshot", message));
}

/** A decision, and of which boot and generation the snapshots are that it was made of, as far as the agents say. */
export interface Checked extends Decision {
	readonly snapshots?: Readonly<Record<string, Pick<Snapshot, "boot_id" | "generation">>>;
}

export function withVersions(decision: Decision, attempts: readonly [source: Attempt, target: Attempt]): Checked {
	const [source, target] = attempts.map((one) => (one instanceof SnapshotError ? one.stale?.snapshot : one));
	const snapshots = source && target ? versionsOfBoth(source)(target) : versionsOf(source ?? target);
	return snapshots === undefined ? decision : { ...decision, snapshots };
}

/** Of two hosts that are asked about again and again. */
const versionsOfBoth = once((source: Snapshot) => once((target: Snapshot) => versionsOf(source, target)));

function versionsOf(...snapshots: readonly (Snapshot | undefined)[]): Checked["snapshots"] {
	const known = snapshots
		.filter((snapshot) => snapshot !== undefined)
		.map(({ host, boot_id, generation }) => [host, { boot_id, generation }] as const)
		.filter(([, { boot_id, generation }]) => boot_id !== undefined || generation !== undefined);
	return known.length === 0 ? undefined : Object.fromEntries(known);
}
