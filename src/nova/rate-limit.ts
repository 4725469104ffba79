import { LRUCache } from "lru-cache";
import type { Logger } from "../log/logger.ts";

/** Seconds' worth of checks that may come at once: whoever drains a host asks about all its instances in one moment. */
const BURST_SECONDS = 5;
/** One that is forgotten begins anew. Whoever invents hosts to that end meets the limit of all together. */
const MAX_HOSTS = 4_096;
/** A flood of checks must not become one of log lines. */
const LOG_INTERVAL_MS = 1_000;

/** Options of the configuration: checks per second, 0 for no limit. */
interface Limits {
	readonly max_checks_per_second_per_host: number;
	readonly max_checks_per_second: number;
}
type Limit = keyof Limits;

/** A token bucket: `rate` tokens a second, and room for those of BURST_SECONDS. */
class TokenBucket {
	readonly #rate: number;
	#tokens: number;
	/** Milliseconds. */
	#filledAt: number;

	constructor(rate: number, now: number) {
		this.#rate = rate;
		this.#tokens = rate * BURST_SECONDS;
		this.#filledAt = now;
	}

	take(now: number): boolean {
		const added = ((now - this.#filledAt) / 1000) * this.#rate;
		this.#tokens = Math.min(this.#tokens + added, this.#rate * BURST_SECONDS);
		this.#filledAt = now;
		if (this.#tokens < 1) return false;
		this.#tokens--;
		return true;
	}
}

/**
 * How many checks are made: of one source host, so that a host that floods the service takes nothing from the others, and of all.
 * The host is what the message says; nobody can tell who sent it.
 */
export class RateLimit {
	/** Checks that were not made, by the limit. */
	readonly refused: Record<Limit, number> = { max_checks_per_second_per_host: 0, max_checks_per_second: 0 };
	readonly #limits: Limits;
	readonly #log: Logger;
	/** Milliseconds, never going back. */
	readonly #now: () => number;
	readonly #all: TokenBucket;
	readonly #hosts = new LRUCache<string, TokenBucket>({ max: MAX_HOSTS });
	/** Refused and not logged yet. */
	#untold = 0;

	constructor(limits: Limits, log: Logger, now = () => performance.now()) {
		this.#limits = limits;
		this.#log = log;
		this.#now = now;
		this.#all = new TokenBucket(limits.max_checks_per_second, now());
	}

	/** Counts a check; which limit it is too much for, and how many a second that allows. Undefined when it may be made. */
	exceeded(source_host: string): { readonly limit: Limit; readonly rate: number } | undefined {
		const limit = this.#full(source_host);
		if (limit === undefined) return undefined;
		const rate = this.#limits[limit];
		this.refused[limit]++;
		if (this.#untold++ === 0) setTimeout(() => this.#tell(limit, source_host), LOG_INTERVAL_MS).unref();
		return { limit, rate };
	}

	/** The host goes first: what is too much of one host is not taken from all. */
	#full(source_host: string): Limit | undefined {
		const { max_checks_per_second_per_host: perHost, max_checks_per_second: ofAll } = this.#limits;
		const now = this.#now();
		if (perHost > 0 && !this.#bucketOf(source_host, perHost, now).take(now)) return "max_checks_per_second_per_host";
		return ofAll > 0 && !this.#all.take(now) ? "max_checks_per_second" : undefined;
	}

	#bucketOf(source_host: string, rate: number, now: number): TokenBucket {
		const known = this.#hosts.get(source_host);
		if (known) return known;
		const bucket = new TokenBucket(rate, now);
		this.#hosts.set(source_host, bucket);
		return bucket;
	}

	#tell(limit: Limit, source_host: string): void {
		const count = this.#untold === 1 ? "1 check was" : `${this.#untold} checks were`;
		this.#log.warning(
			`${count} not made within a second, the first of source host ${source_host}: more than ${limit} allows (${this.#limits[limit]})`,
		);
		this.#untold = 0;
	}
}
