import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuSeconds } from "../bench/children.ts";
import { unitOptions } from "../support/units.ts";

const DIST = `${import.meta.dirname}/../../dist`;
const READY_AFTER_MS = 30_000;

/** How a service is started. */
export interface Launch {
	/** Of Node.js, after those of the unit. */
	readonly flags?: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	/** A descriptor to log to, in place of what `log` shows. */
	readonly stderr?: number;
}

/** A program of ours as a child process, and all that it prints. */
export class Process {
	readonly #child: ChildProcess;
	readonly #directory: string | undefined;
	#log = "";

	/** `novacompat serve`; `options` are those of its configuration file. */
	static serve(options: Readonly<Record<string, unknown>>, launch: Launch = {}): Process {
		const directory = mkdtempSync(join(tmpdir(), "novacompat-serve-"));
		const file = join(directory, "novacompat.yaml");
		// JSON is YAML.
		writeFileSync(file, `${JSON.stringify({ host: "faults", debug: true, ...options })}\n`);
		return new Process([`${DIST}/src/cli/main.js`, "serve", "--config-file", file], directory, launch);
	}

	/** Our messaging with methods that echo, or fail in ways in which the service must not. */
	static echo(servers: readonly { readonly url: string; readonly topic: string }[]): Process {
		return new Process([`${DIST}/test/faults/echo-server.js`, JSON.stringify(servers)]);
	}

	private constructor(command: readonly string[], directory?: string, launch: Launch = {}) {
		const { flags = [], env = {}, stderr = "pipe" } = launch;
		this.#directory = directory;
		const monitor = `--import=file://${DIST}/test/faults/loop-monitor.js`;
		const stdio: StdioOptions = ["ignore", "pipe", stderr, "ipc"];
		this.#child = spawn(process.execPath, [...unitOptions("serve"), monitor, ...flags, ...command], {
			stdio,
			env: { ...process.env, ...env },
		});
		for (const stream of [this.#child.stdout, this.#child.stderr]) {
			stream?.on("data", (chunk: Buffer) => {
				this.#log += chunk.toString();
			});
		}
	}

	/** Tells the monitor in it to stand still for so long, or to throw. */
	inflict(fault: { readonly block: number } | { readonly crash: "exception" | "rejection" }): void {
		this.#child.send(fault);
	}

	get pid(): number {
		return this.#child.pid ?? 0;
	}

	/** Of its configuration file. */
	get directory(): string {
		return this.#directory ?? "";
	}

	get log(): string {
		return this.#log;
	}

	get running(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}

	/** Resolves with what the pattern found in the log. */
	async says(pattern: RegExp, patience = READY_AFTER_MS): Promise<RegExpExecArray> {
		for (const giveUp = performance.now() + patience; performance.now() < giveUp; await sleep(10)) {
			const found = pattern.exec(this.#log);
			if (found) return found;
			if (!this.running) break;
		}
		throw new Error(`not within ${patience} ms: ${pattern}\n${this.#log.slice(-4_000)}`);
	}

	async ready(): Promise<this> {
		await this.says(/ ready: /);
		return this;
	}

	/** Resident memory in MiB. */
	rss(): number {
		const [, kibibytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8")) ?? [];
		return Number(kibibytes) / 1024;
	}

	/** Processor seconds so far. */
	cpu(): number {
		return cpuSeconds(this.#child.pid ?? 0);
	}

	/** The longest that its event loop has stood still since this was asked last, in milliseconds. */
	async stall(): Promise<number> {
		const before = this.#log.length;
		this.#child.kill("SIGUSR2");
		for (const giveUp = performance.now() + READY_AFTER_MS; performance.now() < giveUp; await sleep(10)) {
			const [, delay] = /event loop stood still for (\d+) ms/.exec(this.#log.slice(before)) ?? [];
			if (delay !== undefined) return Number(delay);
		}
		throw new Error("no answer of the event loop");
	}

	signal(signal: NodeJS.Signals): void {
		this.#child.kill(signal);
	}

	/** Its exit code; undefined when a signal ended it. */
	async exited(): Promise<number | undefined> {
		if (this.running) await once(this.#child, "exit");
		return this.#child.exitCode ?? undefined;
	}

	/** Kills it, whatever it does. */
	async end(): Promise<void> {
		if (this.running) this.#child.kill("SIGKILL");
		await this.exited();
		if (this.#directory !== undefined) rmSync(this.#directory, { recursive: true, force: true });
	}
}
