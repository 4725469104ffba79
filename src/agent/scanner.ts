import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../log/logger.ts";
import type { HostPlaces } from "./scan.ts";
import { type Outcome, type ScanTask, scanInProcess } from "./scan-process.ts";
import { NO_PREDECESSOR, type Predecessor, published, type ScanResult, SnapshotUnavailable } from "./scan-result.ts";

/** After a scan that had to be abandoned. */
const RESPITE_MS = 30_000;
/** How long a file that a read did not come back from is left alone. */
const STUCK_MS = 600_000;
/** Processes that the kernel does not let go of hold memory: with so many of them none is added. */
const MAX_ABANDONED = 8;

const NONE_YET = "no scan has ended yet";
/** Told to whoever can reach the agent: why stands in its log only, with names of guests and files. */
const NONE_GOOD = "no scan has been good yet: the log of the agent says why";

export interface ScannerOptions {
	readonly places: HostPlaces;
	/** Seconds from the start of a scan to the start of the next one. */
	readonly interval: number;
	/** Path of scan-child.js. */
	readonly program: string;
	readonly log: Logger;
}

/** How scans have ended, since the start. */
export interface ScanCounts {
	readonly done: number;
	readonly failed: number;
	readonly overrun: number;
	/** Seconds that those have taken which were done. */
	readonly seconds: number;
	readonly last?: Outcome["kind"];
}

export const NO_SCANS: ScanCounts = { done: 0, failed: 0, overrun: 0, seconds: 0 };

/** Scans the host again and again, and keeps what the last scan found: whatever becomes of the next one, there is an answer. */
export class Scanner {
	readonly #options: ScannerOptions;
	readonly #stopped = new AbortController();
	readonly #stuck = new Map<string, { readonly since: number; readonly child: ChildProcess }>();
	readonly #abandoned = new Set<ChildProcess>();
	#remnants: ScanTask["remnants"] = [];
	#counts = NO_SCANS;
	#before: Predecessor = NO_PREDECESSOR;
	#latest: ScanResult | undefined;
	#trouble = NONE_YET;
	#warnings: readonly string[] = [];
	#running: Promise<void> | undefined;

	constructor(options: ScannerOptions) {
		this.#options = options;
	}

	/** The last scan that was done. @throws {SnapshotUnavailable} before the first one */
	latest(): ScanResult {
		if (this.#latest !== undefined) return this.#latest;
		throw new SnapshotUnavailable(this.#trouble === NONE_YET ? NONE_YET : NONE_GOOD);
	}

	get counts(): ScanCounts {
		return this.#counts;
	}

	/** Numbers for operators. */
	state() {
		const { done, failed, overrun } = this.#counts;
		const age_s = this.#latest && Math.round((performance.now() - this.#latest.collectedAt) / 1000);
		return { done, failed, overrun, abandoned: this.#abandoned.size, generation: this.#before.generation, age_s };
	}

	/** Starts the first scan. */
	start(): void {
		this.#running = this.#run();
	}

	async stop(): Promise<void> {
		this.#stopped.abort();
		await this.#running;
	}

	async #run(): Promise<void> {
		const { signal } = this.#stopped;
		while (!signal.aborted) {
			const started = performance.now();
			const pause = await this.#scan(started, signal);
			await sleep(pause, undefined, { signal }).catch(() => undefined);
		}
	}

	/** Milliseconds to wait for the next one. */
	async #scan(started: number, signal: AbortSignal): Promise<number> {
		if (this.#abandoned.size >= MAX_ABANDONED) return RESPITE_MS;
		const { places, interval, program } = this.#options;
		const stuck = [...this.#stuck].filter(([path, mark]) => this.#isStuck(path, mark)).map(([path]) => path);
		const task = { places, before: this.#before, stuck, remnants: this.#remnants };
		const outcome = await scanInProcess(program, task, signal);
		if (signal.aborted) return 0;
		if (outcome.kind !== "overrun") this.#remnants = outcome.remnants ?? this.#remnants;
		const took = performance.now() - started;
		this.#counts = {
			...this.#counts,
			[outcome.kind]: this.#counts[outcome.kind] + 1,
			last: outcome.kind,
			seconds: this.#counts.seconds + (outcome.kind === "done" ? took / 1000 : 0),
		};
		if (outcome.kind === "done") this.#publish(outcome);
		else if (outcome.kind === "failed") this.#report("error", `scan failed: ${outcome.cause}`);
		else return this.#leave(outcome);
		return Math.max(0, interval * 1000 - took);
	}

	#publish({ scan, body = this.#latest?.body }: Extract<Outcome, { kind: "done" }>): void {
		if (body === undefined) return;
		this.#before = { digest: scan.digest, generation: scan.generation };
		this.#latest = published({ ...scan, body });
		if (this.#trouble !== "") this.#options.log.info(`scan done, generation ${scan.generation}`);
		this.#trouble = "";
		for (const warning of scan.warnings) if (!this.#warnings.includes(warning)) this.#options.log.warning(warning);
		this.#warnings = scan.warnings;
	}

	#leave({ reading, child }: Extract<Outcome, { kind: "overrun" }>): number {
		if (child.exitCode === null && child.signalCode === null) {
			this.#abandoned.add(child);
			child.once("exit", () => this.#abandoned.delete(child));
		}
		if (reading !== undefined) this.#stuck.set(reading, { since: performance.now(), child });
		this.#report("warning", `scan abandoned: it gave no sign of life${reading ? ` while it read ${reading}` : ""}`);
		return RESPITE_MS;
	}

	#isStuck(path: string, { since, child }: { readonly since: number; readonly child: ChildProcess }): boolean {
		const over = performance.now() - since > STUCK_MS && !this.#abandoned.has(child);
		if (over) this.#stuck.delete(path);
		return !over;
	}

	/** Once for as long as it lasts. */
	#report(level: "warning" | "error", trouble: string): void {
		if (trouble === this.#trouble) return;
		this.#trouble = trouble;
		this.#options.log[level](trouble);
	}
}
