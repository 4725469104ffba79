import { LRUCache } from "lru-cache";
import { SnapshotError } from "./source.ts";

/** Milliseconds, and how many failures in them open the breaker. */
const WINDOW = 10_000;
const FAILURES = 3;
/** How long nobody is asked: after a failure, and while the breaker is open. */
const QUIET = 2_000;
const OPEN = 5_000;
/** So that the probes of many hosts that went down together are not sent together. */
const JITTER = 1_000;
const MAX_HOSTS = 4_096;

interface Failures {
	readonly last: SnapshotError;
	/** Times on the clock of `performance.now()`, the latest last. */
	readonly times: readonly number[];
	quietUntil: number;
}

/** How an agent stands that failed. */
export interface Failing {
	readonly host: string;
	/** `open` after several failures, `quiet` after one: nobody asks it. `closed`: it is asked again. */
	readonly state: "closed" | "quiet" | "open";
	readonly last: SnapshotError;
	/** Seconds since it failed last. */
	readonly age: number;
}

/** Remembers which agents failed, so that who asks again is answered at once: Nova asks about one host after another. */
export class Breaker {
	readonly #hosts = new LRUCache<string, Failures>({ max: MAX_HOSTS });

	/**
	 * The failure that is known of a host, with its age; undefined when its agent is to be asked. While the breaker is open
	 * that is said to one who asks, whose question is the probe.
	 */
	refusal(host: string): SnapshotError | undefined {
		const failures = this.#hosts.get(host);
		if (failures === undefined) return undefined;
		const now = performance.now();
		if (now >= failures.quietUntil) {
			if (isOpen(failures.times)) failures.quietUntil = now + OPEN + Math.random() * JITTER;
			return undefined;
		}
		const { last, times } = failures;
		const age = (now - (times.at(-1) ?? now)) / 1000;
		return new SnapshotError(last.code, `${last.message}, asked ${age.toFixed(1)} s ago`, { cause: last });
	}

	/** Returns whether the breaker is open. */
	failed(host: string, last: SnapshotError): boolean {
		const now = performance.now();
		const before = this.#hosts.get(host)?.times ?? [];
		const times = [...before, now].filter((time) => now - time < WINDOW).slice(-FAILURES);
		const open = isOpen(times);
		this.#hosts.set(host, { last, times, quietUntil: now + (open ? OPEN + Math.random() * JITTER : QUIET) });
		return open;
	}

	answered(host: string): void {
		this.#hosts.delete(host);
	}

	/** Hosts whose agent has not answered since it failed. */
	failing(): readonly Failing[] {
		const now = performance.now();
		return [...this.#hosts].map(([host, { last, times, quietUntil }]) => {
			const state = isOpen(times) ? "open" : now < quietUntil ? "quiet" : "closed";
			return { host, state, last, age: (now - (times.at(-1) ?? now)) / 1000 };
		});
	}
}

function isOpen(times: readonly number[]): boolean {
	return times.length >= FAILURES;
}
