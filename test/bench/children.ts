import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const READY_AFTER_MS = 60_000;

export interface Child {
	readonly pid: number;
	/** What the group of the expression for readiness matched. */
	readonly ready: string;
}

/** Child processes and one temporary directory; none of them outlives this process. */
export class Children {
	readonly directory = mkdtempSync(join(tmpdir(), "novacompat-bench-"));
	readonly #running = new Map<number, ChildProcess>();

	constructor() {
		process.once("exit", () => {
			for (const child of this.#running.values()) child.kill("SIGKILL");
			rmSync(this.directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
		});
		for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => process.exit(1));
	}

	/** Starts a program and waits until what it prints matches `ready`. When it ends before we do, so do we. */
	async start(name: string, command: readonly string[], ready = /()/): Promise<Child> {
		// A file, because a pipe would have to be read by the process that measures.
		const output = join(this.directory, `${name}.log`);
		const file = openSync(output, "w");
		const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], { stdio: ["ignore", file, file] });
		const { pid } = child;
		if (pid === undefined) throw new Error(`${name} cannot be started: setpriv (util-linux) is missing`);
		this.#running.set(pid, child);
		child.once("exit", (code, signal) => {
			if (!this.#running.delete(pid)) return;
			process.stderr.write(`${name} ended (${code ?? signal}):\n${readFileSync(output, "utf8").slice(-2000)}\n`);
			process.exit(1);
		});
		for (const giveUp = performance.now() + READY_AFTER_MS; performance.now() < giveUp; await sleep(50)) {
			const [, found] = ready.exec(readFileSync(output, "utf8")) ?? [];
			if (found !== undefined) return { pid, ready: found };
		}
		throw new Error(`${name} is not ready after ${READY_AFTER_MS / 1000} s:\n${readFileSync(output, "utf8")}`);
	}

	/** Asks it to end, and waits until it has. */
	async stop({ pid }: Child): Promise<void> {
		const child = this.#running.get(pid);
		if (!this.#running.delete(pid) || child === undefined) return;
		const ended = once(child, "exit");
		child.kill("SIGTERM");
		await ended;
	}
}

/** Seconds of processor time that a process has used; the kernel counts in hundredths. */
export function cpuSeconds(pid: number): number {
	const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
	// The second field is the name of the program in parentheses and may hold anything; utime and stime are 14 and 15.
	const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** What a process has in memory now, and the most it ever had, in MB. */
export function memory(pid: number): { readonly now: number; readonly peak: number } {
	const status = readFileSync(`/proc/${pid}/status`, "utf8");
	const megabytes = (name: string) => Number(new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
	return { now: megabytes("VmRSS"), peak: megabytes("VmHWM") };
}
