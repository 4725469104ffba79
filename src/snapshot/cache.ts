import { LRUCache } from "lru-cache";
import type { Snapshot } from "./snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./source.ts";

/** Far above what one decision needs; the rest of a large cloud is fetched again. */
const MAX_HOSTS = 1_024;

/**
 * Snapshots that were fetched a moment ago, so that Nova's walk over many hosts asks the source's agent once. Who asks while
 * an answer is on its way waits for the same one. What could not be had is not remembered.
 */
export class SnapshotCache implements SnapshotSource {
	readonly #source: SnapshotSource;
	readonly #fresh: LRUCache<string, Snapshot> | undefined;
	readonly #underway = new Map<string, Promise<Snapshot>>();

	/** `maxAge`: seconds that a snapshot is used for, counted from when its answer came; 0: for who waits for it only. */
	constructor(source: SnapshotSource, maxAge: number) {
		this.#source = source;
		this.#fresh = maxAge > 0 ? new LRUCache({ max: MAX_HOSTS, ttl: maxAge * 1000 }) : undefined;
	}

	async fetch(host: string, options: FetchOptions): Promise<Snapshot> {
		return this.#fresh?.get(host) ?? within(options.signal, this.#underway.get(host) ?? this.#ask(host, options), host);
	}

	/** Not bound to the time of the check that asked first: the others may have more. */
	#ask(host: string, { request_id }: FetchOptions): Promise<Snapshot> {
		const asked = this.#source
			.fetch(host, { signal: new AbortController().signal, request_id })
			.then((snapshot) => {
				this.#fresh?.set(host, snapshot);
				return snapshot;
			})
			.finally(() => this.#underway.delete(host));
		this.#underway.set(host, asked);
		return asked;
	}
}

function within(signal: AbortSignal, asked: Promise<Snapshot>, host: string): Promise<Snapshot> {
	return new Promise((resolve, reject) => {
		const timeUp = () => reject(new SnapshotError("agent.timeout", `the agent of ${host} did not answer in time`));
		if (signal.aborted) timeUp();
		signal.addEventListener("abort", timeUp, { once: true });
		asked.then(resolve, reject).finally(() => signal.removeEventListener("abort", timeUp));
	});
}
