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

interface Outcome {
	/** Undefined for an answer. */
	readonly code: SnapshotError["code"] | undefined;
	/** On the clock of `performance.now()`. */
	readonly at: number;
}

/**
 * Notices that agents fail everywhere and not here and there - an authority that has expired, a network that is cut - so that checks
 * are unknown whatever the hosts have (specification reliability 1.0.3). It decides nothing, and is told once when it begins and
 * once when it ends.
 */
export class Outage {
	readonly #log: Log;
	/** The last outcome by host, the oldest first. */
	readonly #hosts = new Map<string, Outcome>();
	/** How many of them are failures. */
	#failing = 0;
	#isSystemic = false;

	constructor(log: Log) {
		this.#log = log;
	}

	/** `code`: why there was no answer; left out when there was one. */
	heard(host: string, code?: SnapshotError["code"]): void {
		// Nobody was asked. Such names come from requests, where anything can be written.
		if (code === "agent.unconfigured") return;
		this.#forget(host);
		this.#hosts.set(host, { code, at: performance.now() });
		if (code !== undefined) this.#failing++;
		this.#judge();
	}

	state(): OutageState {
		this.#judge();
		return { asked: this.#hosts.size, failing: this.#failing, systemic: this.#isSystemic };
	}

	#forget(host: string): void {
		if (this.#hosts.get(host)?.code !== undefined) this.#failing--;
		this.#hosts.delete(host);
	}

	#forgetTheOld(): void {
		const now = performance.now();
		for (const [host, { at }] of this.#hosts) {
			if (now - at < WINDOW && this.#hosts.size <= MAX_HOSTS) return;
			this.#forget(host);
		}
	}

	#judge(): void {
		this.#forgetTheOld();
		const asked = this.#hosts.size;
		const isSystemic = this.#failing >= AT_LEAST && this.#failing > SHARE * asked;
		if (isSystemic === this.#isSystemic) return;
		this.#isSystemic = isSystemic;
		const text = `${this.#failing} of the ${asked} agents that were asked in the last five minutes give no snapshot`;
		if (!isSystemic) this.#log.info(`the systemic outage is over: ${text}`);
		else {
			const causes = tally([...this.#hosts.values()].flatMap(({ code }) => code ?? []));
			this.#log.critical(`systemic outage: ${text} (${causes}); checks that need them are unknown`);
		}
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
