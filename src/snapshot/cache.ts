import { setMaxListeners } from "node:events";
import { LRUCache } from "lru-cache";
import { TAMPERING } from "../compat/unknown.ts";
import type { Agents, Collected } from "./agent-source.ts";
import type { Snapshot } from "./snapshot.ts";
import {
	type FetchOptions,
	type HostState,
	NO_WITNESS,
	SnapshotError,
	type SnapshotSource,
	type SnapshotWitness,
	type StaleSnapshot,
} from "./source.ts";

/** Far above what one decision needs; the rest of a large cloud is fetched again. */
const MAX_HOSTS = 1_024;
/** Of all answers together; in memory they take about three times as much. */
const MAX_BYTES = 128 * 1024 * 1024;

/** Seconds. */
export interface CacheOptions {
	/** How long a snapshot is used without asking again, counted from the answer; 0: for who waits for it only. */
	readonly maxAge: number;
	/** An agent that answers with what it collected longer ago is stuck. */
	readonly staleAfter: number;
	/** Up to which age a policy may use the last good snapshot of a host that cannot be asked. */
	readonly staleMax: number;
}

type Heard = (host: string, failure?: SnapshotError["code"]) => void;

interface Kept {
	readonly collected: Collected;
	/** On the clock of `performance.now()`. */
	readonly answeredAt: number;
}

/**
 * Snapshots that were fetched a moment ago, so that Nova's walk over many hosts asks the source's agent once, and then only
 * whether something has changed. Who asks while an answer is on its way waits for the same one.
 */
export class SnapshotCache implements SnapshotSource {
	readonly #agents: Agents;
	readonly #options: CacheOptions;
	readonly #heard: Heard;
	readonly #witness: SnapshotWitness;
	readonly #kept = new LRUCache<string, Kept>({
		max: MAX_HOSTS,
		maxSize: MAX_BYTES,
		sizeCalculation: ({ collected }) => Math.max(1, collected.bytes),
	});
	readonly #underway = new Map<string, Promise<Collected>>();

	/** `heard` is told what came of asking a host: a snapshot, or why there is none. */
	constructor(agents: Agents, options: CacheOptions, witness = NO_WITNESS, heard: Heard = () => undefined) {
		this.#agents = agents;
		this.#options = options;
		this.#witness = witness;
		this.#heard = heard;
	}

	/** Of how many hosts something is known, in how many bytes, and how many are being asked. */
	state() {
		return { kept: this.#kept.size, bytes: this.#kept.calculatedSize, underway: this.#underway.size };
	}

	/** Every host that is known, by name. */
	hosts(): readonly HostState[] {
		const failing = new Map(this.#agents.failing().map((one) => [one.host, one]));
		const names = new Set([...this.#kept.keys(), ...failing.keys()]);
		return [...names].sort().map((host) => {
			const collected = this.#kept.peek(host)?.collected;
			const failed = failing.get(host);
			return {
				host,
				breaker: failed?.state ?? "closed",
				...(collected && { snapshot: collected.snapshot, age: ageOf(collected) }),
				...(failed && { failure: { code: failed.last.code, message: failed.last.message, age: failed.age } }),
			};
		});
	}

	async fetch(host: string, options: FetchOptions): Promise<Snapshot> {
		try {
			const kept = this.#kept.get(host);
			const collected = kept && this.#isFresh(kept) ? kept.collected : await this.#fetch(host, options);
			const age = ageOf(collected);
			this.#witness.used(age);
			options.aged?.(age);
			return collected.snapshot;
		} catch (error) {
			if (error instanceof SnapshotError && error.stale) options.aged?.(error.stale.age);
			throw error;
		}
	}

	async #fetch(host: string, options: FetchOptions): Promise<Collected> {
		const refusal = this.#agents.refusal(host);
		if (refusal) throw this.#withStale(host, refusal);
		const late = () =>
			this.#withStale(host, new SnapshotError("agent.timeout", `the agent of ${host} did not answer in time`));
		this.#agents.join(host, options.signal);
		return within(options.signal, this.#underway.get(host) ?? this.#ask(host, options), late);
	}

	#isFresh({ collected, answeredAt }: Kept): boolean {
		const { maxAge, staleAfter } = this.#options;
		return performance.now() - answeredAt < maxAge * 1000 && ageOf(collected) <= staleAfter;
	}

	/** Not bound to the time of the check that asked first: the others may have more. */
	#ask(host: string, { request_id, global_request_id, traceparent, signal }: FetchOptions): Promise<Collected> {
		const known = this.#kept.get(host)?.collected;
		const asked = this.#agents
			.ask(host, { known, request_id, global_request_id, traceparent, asker: signal })
			.then((collected) => this.#keep(host, collected))
			.catch((error: unknown) => {
				if (!(error instanceof SnapshotError)) throw error;
				this.#heard(host, error.code);
				throw this.#withStale(host, error);
			})
			.finally(() => this.#underway.delete(host));
		this.#underway.set(host, asked);
		return asked;
	}

	#keep(host: string, collected: Collected): Collected {
		this.#kept.set(host, { collected, answeredAt: performance.now() });
		const [age, limit] = [ageOf(collected), this.#options.staleAfter];
		if (age <= limit) {
			this.#heard(host);
			return collected;
		}
		const message = `the agent of ${host} has not read its devices for ${age.toFixed(0)} s (limit ${limit} s)`;
		throw new SnapshotError("snapshot.stale", message);
	}

	/** Adds what was last known of the host; nothing, when somebody may be lying about it or nobody knows of which boot it is. */
	#withStale(host: string, error: SnapshotError): SnapshotError {
		if (TAMPERING.has(error.code)) this.#kept.delete(host);
		const stale = this.#staleOf(host);
		return stale ? new SnapshotError(error.code, error.message, { cause: error, stale }) : error;
	}

	#staleOf(host: string): StaleSnapshot | undefined {
		const collected = this.#kept.get(host)?.collected;
		if (collected?.snapshot.boot_id === undefined) return undefined;
		const age = ageOf(collected);
		return age < this.#options.staleMax ? { snapshot: collected.snapshot, age } : undefined;
	}
}

/** Seconds since the agent had read its host, by our clock alone. */
function ageOf({ collectedAt }: Collected): number {
	return (performance.now() - collectedAt) / 1000;
}

function within(signal: AbortSignal, asked: Promise<Collected>, late: () => SnapshotError): Promise<Collected> {
	return new Promise((resolve, reject) => {
		const timeUp = () => reject(late());
		if (signal.aborted) timeUp();
		// A ranking waits for a thousand hosts at once.
		setMaxListeners(0, signal);
		signal.addEventListener("abort", timeUp, { once: true });
		asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", timeUp));
	});
}
