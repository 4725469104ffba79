import { LRUCache } from "lru-cache";
import type { Log } from "./log.ts";
import type { SnapshotError } from "./source.ts";

/** Milliseconds; what was found out longer ago does not count. */
const WINDOW = 300_000;
/** It is no single host any more: so many of those that were asked, and more than one in five. */
const AT_LEAST = 3;
const SHARE = 0.2;
const MAX_HOSTS = 4_096;

/** Of the distinct agents that were asked in the last five minutes. */
export interface OutageState {
	readonly asked: number;
	/** Those whose last answer was none. */
	readonly failing: number;
	readonly systemic: boolean;
}

/**
 * Notices that agents fail everywhere and not here and there - an authority that has expired, a network that is cut - so that checks
 * are unknown whatever the hosts have (specification reliability 1.0.3). It decides nothing, and is told once when it begins and
 * once when it ends.
 */
export class Outage {
	readonly #log: Log;
	/** The last outcome by host; undefined for an answer. */
	readonly #hosts = new LRUCache<string, { readonly code: SnapshotError["code"] | undefined }>({
		max: MAX_HOSTS,
		ttl: WINDOW,
	});
	#failing = 0;
	#isSystemic = false;

	constructor(log: Log) {
		this.#log = log;
	}

	/** `code`: why there was no answer; left out when there was one. */
	heard(host: string, code?: SnapshotError["code"]): void {
		const before = this.#hosts.peek(host)?.code;
		this.#hosts.set(host, { code });
		// Looking at all of them is only worth it when something has changed.
		if (before !== code || this.#isSystemic) this.#judge();
	}

	state(): OutageState {
		this.#judge();
		return { asked: this.#hosts.size, failing: this.#failing, systemic: this.#isSystemic };
	}

	#judge(): void {
		this.#hosts.purgeStale();
		const codes = [...this.#hosts.values()].flatMap(({ code }) => code ?? []);
		const asked = this.#hosts.size;
		this.#failing = codes.length;
		const isSystemic = codes.length >= AT_LEAST && codes.length > SHARE * asked;
		if (isSystemic === this.#isSystemic) return;
		this.#isSystemic = isSystemic;
		const text = `${codes.length} of the ${asked} agents that were asked in the last five minutes give no snapshot`;
		if (isSystemic) this.#log.critical(`systemic outage: ${text} (${tally(codes)}); checks that need them are unknown`);
		else this.#log.info(`the systemic outage is over: ${text}`);
	}
}

/** `agent.tls 6, agent.timeout 1`, the most frequent first. */
function tally(codes: readonly string[]): string {
	const counts = [...new Set(codes)].map((code) => [code, codes.filter((other) => other === code).length] as const);
	return counts
		.sort(([, a], [, b]) => b - a)
		.map(([code, count]) => `${code} ${count}`)
		.join(", ");
}
