import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { setPriority } from "node:os";
import type { Readable } from "node:stream";
import { attempt } from "./bounded-file.ts";
import { killGroup } from "./command.ts";
import type { HostPlaces } from "./scan.ts";
import type { NumberedScan, Predecessor } from "./scan-result.ts";
import type { ProgramRemnant } from "./tools.ts";

/** What times of a scan are counted in: while this process stands still itself (a cgroup that is frozen, SIGSTOP) none passes. */
const TICK_MS = 250;
/** So long may a scan give no sign of life: a driver that does not answer has been read. */
const MAX_SILENT_TICKS = 3_000 / TICK_MS;
/** However alive it is. */
const MAX_TICKS = 60_000 / TICK_MS;

/** Guests and the answers of the agent go first, always. */
const NICE = 19;

/**
 * Of Node: little memory, less than the unit has for both, and one thread for V8, without which a scan takes a fifth longer; with 0 Node.js would
 * choose by the processors of the host, which are for guests. And what the unit gives the agent itself, because a child has nothing of that.
 */
export const SCAN_OPTIONS = [
	"--max-semi-space-size=4",
	"--max-old-space-size=256",
	"--v8-pool-size=1",
	"--disable-proto=delete",
	"--disallow-code-generation-from-strings",
];

const LINE_FEED = 0x0a;
const NATIVE_STACK = "----- Native stack trace -----";
/** Characters: a native stack has some thousands, behind what counts. */
const MAX_COMPLAINT = 16_384;

/** What scan-child.ts is started with, as JSON. */
export interface ScanTask {
	readonly places: HostPlaces;
	readonly before: Predecessor;
	readonly stuck: readonly string[];
	/** Of earlier scans. */
	readonly remnants: readonly ProgramRemnant[];
}

/** The first line of what it answers; `bytes` of JSON follow, none if it found what its predecessor did. */
export type ScanHeader = ((Omit<NumberedScan, "body"> & { readonly bytes: number }) | { readonly error: string }) &
	Pick<ScanTask, "remnants">;

/** How a scan ended. */
export type Outcome =
	| ({
			readonly kind: "done";
			readonly scan: Omit<NumberedScan, "body">;
			readonly body: Buffer | undefined;
	  } & Pick<ScanTask, "remnants">)
	/** `remnants`: what it has said of them before it failed. */
	| ({ readonly kind: "failed"; readonly cause: string } & Partial<Pick<ScanTask, "remnants">>)
	/** It is left alone; `reading` is the file that it waits for, where that can be told. */
	| { readonly kind: "overrun"; readonly reading: string | undefined; readonly child: ChildProcess };

/**
 * Scans in a process of its own. A read of sysfs cannot be given up, but a process can: it is killed, and should the
 * kernel not let go of it, forgotten. Its memory goes back to the system with it.
 */
export function scanInProcess(program: string, task: ScanTask, signal: AbortSignal): Promise<Outcome> {
	const command = [...SCAN_OPTIONS, program, JSON.stringify(task)];
	const child = attempt(() => spawn(process.execPath, command, { stdio: ["ignore", "pipe", "pipe", "pipe"], env: {} }));
	// Node.js has an event for some of what keeps a process from starting; the rest, as ENOMEM, it throws.
	if ("errno" in child) return Promise.resolve({ kind: "failed", cause: `spawn ${child.errno}` });
	if (child.pid === undefined) return notStarted(child);
	lowerPriority(child.pid);
	const output: Buffer[] = [];
	let complaint = "";
	const [, stdout, stderr, heartbeat] = child.stdio as [null, Readable, Readable, Readable, undefined];
	stderr.on("data", (chunk: Buffer) => {
		complaint = (complaint + chunk.toString()).slice(-MAX_COMPLAINT);
	});
	return new Promise((resolve) => {
		const end = (outcome: Outcome) => {
			clearInterval(watchdog);
			signal.removeEventListener("abort", stop);
			resolve(outcome);
		};
		const overrun = () => {
			const reading = fileBeingRead(child.pid);
			abandon(child);
			end({ kind: "overrun", reading, child });
		};
		const stop = () => {
			abandon(child);
			end({ kind: "failed", cause: "the agent is stopping" });
		};
		let [ticks, silent] = [0, 0];
		const watchdog = setInterval(() => {
			ticks++;
			// Who works, or waits for a processor, is not stuck.
			silent = isRunnable(child.pid) ? 0 : silent + 1;
			if (silent >= MAX_SILENT_TICKS || ticks >= MAX_TICKS) overrun();
		}, TICK_MS);
		signal.addEventListener("abort", stop, { once: true });
		heartbeat.on("data", () => {
			silent = 0;
		});
		stdout.on("data", (chunk: Buffer) => {
			silent = 0;
			output.push(chunk);
		});
		child.once("error", (error) => end({ kind: "failed", cause: error.message }));
		child.once("close", (code, killedBy) => {
			if (code === 0) return end(read(Buffer.concat(output)));
			const why = [`the scan ended with ${killedBy ?? code}`, lastWords(complaint)].filter((text) => text !== "");
			return end({ kind: "failed", cause: why.join(": ") });
		});
	});
}

/** Without descriptors left there are not even pipes; why it has not started comes as an event. */
function notStarted(child: ChildProcess): Promise<Outcome> {
	return new Promise((resolve) => {
		child.once("error", ({ message }) => resolve({ kind: "failed", cause: message }));
	});
}

/** From the first moment, because threads have the priority of the one that started them, and keep it. */
function lowerPriority(pid: number | undefined): void {
	try {
		// 0 would be this process.
		if (pid !== undefined) setPriority(pid, NICE);
	} catch {
		// It has ended, or there is a rule against it: then it scans all the same.
	}
}

/**
 * Of an error that nobody catches Node.js writes the stack, what else it has, and its own version behind what it says; of one of its
 * own, as that there is no memory left, a native stack.
 */
function lastWords(complaint: string): string {
	const [told = ""] = complaint.split(NATIVE_STACK);
	const lines = told.trim().split("\n");
	return lines.findLast((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? "";
}

function read(output: Buffer): Outcome {
	const line = output.indexOf(LINE_FEED);
	const header = JSON.parse(output.toString("utf8", 0, line)) as ScanHeader;
	if ("error" in header) return { kind: "failed", cause: header.error, remnants: header.remnants };
	const { bytes, remnants, ...scan } = header;
	const body = output.subarray(line + 1);
	if (body.length !== bytes)
		return { kind: "failed", cause: `the scan gave ${body.length} bytes of ${bytes}`, remnants };
	return { kind: "done", scan, body: bytes === 0 ? undefined : body, remnants };
}

function abandon(child: ChildProcess): void {
	const asked = programsOf(child.pid);
	child.kill("SIGKILL");
	for (const pid of asked) killGroup(pid);
	for (const stream of child.stdio) stream?.destroy();
	child.unref();
}

/** What it has asked and waits for; each has a process group of its own (Documentation/filesystems/proc.rst, `children`). */
function programsOf(pid: number | undefined): readonly number[] {
	try {
		return Array.from(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").matchAll(/\d+/g), Number);
	} catch {
		// It has ended, or the kernel does not tell: then they end when they have answered.
		return [];
	}
}

/** The state of its first thread, proc(5): a read that does not return is `D` or `S`. */
function isRunnable(pid: number | undefined): boolean {
	try {
		return /\) R /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
	} catch {
		return false;
	}
}

/**
 * The file behind the first argument of the system call that a process is in (Documentation/filesystems/proc.rst):
 * reads name a descriptor, and those of sysfs are what takes long.
 */
function fileBeingRead(pid: number | undefined): string | undefined {
	try {
		const [, descriptor] = /^\d+ 0x([0-9a-f]{1,8}) /.exec(readFileSync(`/proc/${pid}/syscall`, "utf8")) ?? [];
		const path = readlinkSync(`/proc/${pid}/fd/${Number.parseInt(descriptor ?? "", 16)}`);
		return path.startsWith("/") ? path : undefined;
	} catch {
		// Not in a system call, in one without a file, or gone.
		return undefined;
	}
}
