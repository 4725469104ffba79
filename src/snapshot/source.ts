import type { ReasonCode } from "../compat/reason.ts";
import type { Snapshot } from "./snapshot.ts";

/** Where snapshots come from: agents over HTTP, files, directories. */
export interface SnapshotSource {
	/** Throws SnapshotError, and nothing else, when there is no usable snapshot of the host. */
	fetch(host: string, options: FetchOptions): Promise<Snapshot>;
}

/** Of a check: they go to the agent, so that its log lines join with ours and Nova's. */
export interface CheckIds {
	readonly request_id?: string | undefined;
	readonly global_request_id?: string | undefined;
	/** The trace and the span of the check, as the header of this name has them. */
	readonly traceparent?: string | undefined;
}

export interface FetchOptions extends CheckIds {
	/** Aborted when the time of the check is up. */
	readonly signal: AbortSignal;
	/** Is told how many seconds ago the host was read, of each snapshot that is fetched, and of the last good one where there is none. */
	aged?(seconds: number): void;
}

/** Is told what becomes of questions to agents; must not throw. */
export interface SnapshotWitness {
	/** A question was answered, or is given up. `seconds`: all tries together. */
	asked(outcome: "ok" | SnapshotError["code"], seconds: number): void;
	/** A snapshot is decided with. `age`: seconds since the agent had read its host. */
	used(age: number): void;
}

export const NO_WITNESS: SnapshotWitness = { asked: () => undefined, used: () => undefined };

/** What is known of a host and its agent. */
export interface HostState {
	readonly host: string;
	/** The last good one. */
	readonly snapshot?: Snapshot;
	/** Seconds since it was collected. */
	readonly age?: number;
	/** Whether its agent is asked: see Breaker. */
	readonly breaker: "closed" | "quiet" | "open";
	/** The last failure of an agent that has not answered since. */
	readonly failure?: { readonly code: SnapshotError["code"]; readonly message: string; readonly age: number };
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
