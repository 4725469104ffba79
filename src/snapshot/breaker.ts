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
		return new SnapshotError(last.code, `${last.message} ${age.toFixed(1)} s ago`, { cause: last });
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

	/** How many agents are not asked now: those of an open breaker, and those that have only just failed. */
	state() {
		const now = performance.now();
		const quiet = [...this.#hosts.values()].filter(({ quietUntil }) => now < quietUntil);
		const open = quiet.filter(({ times }) => isOpen(times)).length;
		return { open, quiet: quiet.length - open };
	}

	answered(host: string): void {
		this.#hosts.delete(host);
	}
}

function isOpen(times: readonly number[]): boolean {
	return times.length >= FAILURES;
}
