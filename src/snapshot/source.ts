import type { ReasonCode } from "../compat/reason.ts";
import type { Snapshot } from "./snapshot.ts";

/** Where snapshots come from: agents over HTTP, files, directories. */
export interface SnapshotSource {
	/** Throws SnapshotError, and nothing else, when there is no usable snapshot of the host. */
	fetch(host: string, options: FetchOptions): Promise<Snapshot>;
}

export interface FetchOptions {
	/** Aborted when the time of the check is up. */
	readonly signal: AbortSignal;
	/** Goes to the agent, so that its log lines join with ours and Nova's. */
	readonly request_id?: string | undefined;
}

/** What was known of a host before it could not be asked any more. */
export interface StaleSnapshot {
	readonly snapshot: Snapshot;
	/** Seconds since it was collected. */
	readonly age: number;
}

/** Why one snapshot could not be had; the check turns it into a reason. */
export class SnapshotError extends Error {
	override readonly name = "SnapshotError";
	readonly code: ReasonCode & (`agent.${string}` | `snapshot.${string}`);
	/** The last good snapshot, when a policy may use it. */
	readonly stale: StaleSnapshot | undefined;

	constructor(code: SnapshotError["code"], message: string, options: ErrorOptions & { stale?: StaleSnapshot } = {}) {
		super(message, options);
		this.code = code;
		this.stale = options.stale;
	}
}
