import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { attempt } from "./bounded-file.ts";

const TIMEOUT_MS = 4_500;
/** So long it may take until what is killed has ended: the answer is there within 5 seconds. */
const END_MS = 250;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** A process that takes no signal, because the kernel waits in it for a device. */
export interface Remnant {
	readonly pid: number;
	/** When it was started, in ticks since boot, proc(5): a pid alone may be another process by now. */
	readonly started: string;
}

/** What a command printed, or why that is not known. */
export type Output = { readonly text: string } | { readonly errno: string; readonly remnant?: Remnant };

/**
 * Runs a program of the host: absolute path, fixed arguments, no shell, an environment that holds nothing but the C locale.
 * The answer comes within 5 seconds, whatever the program does; its whole process group is killed then, as it is when the
 * program ends and has left others behind.
 *
 * `errno` is the kernel's where the program cannot be started (`ENOENT`, `EACCES` ...); `ETIMEDOUT` it took too long,
 * `EFBIG` it printed more than 1 MiB, `EIO` it failed or was killed, `EILSEQ` it printed no ASCII text.
 */
export function runCommand(path: string, args: readonly string[]): Promise<Output> {
	return new Promise((resolve) => {
		const child = attempt(() =>
			spawn(path, args, {
				cwd: "/",
				env: { LC_ALL: "C" },
				stdio: ["ignore", "pipe", "ignore"],
				// A process group of its own, so that what it starts can be killed with it.
				detached: true,
			}),
		);
		// Node.js has an event for some of what keeps a process from starting; the rest, as ENOMEM, it throws.
		if ("errno" in child) return resolve(child);
		const chunks: Buffer[] = [];
		let length = 0;
		const settle = (output: Output) => {
			clearTimeout(timer);
			killGroup(child.pid);
			child.stdout.destroy();
			child.unref();
			resolve(output);
		};
		const giveUp = () => {
			killGroup(child.pid);
			timer = setTimeout(() => {
				const remnant = child.pid === undefined ? undefined : remnantOf(child.pid);
				settle({ errno: "ETIMEDOUT", ...(remnant && { remnant }) });
			}, END_MS);
			child.once("exit", () => settle({ errno: "ETIMEDOUT" }));
		};
		let timer = setTimeout(giveUp, TIMEOUT_MS);
		child.stdout.on("data", (chunk: Buffer) => {
			length += chunk.length;
			if (length > MAX_OUTPUT_BYTES) settle({ errno: "EFBIG" });
			else chunks.push(chunk);
		});
		child.on("error", (error: NodeJS.ErrnoException) => settle({ errno: error.code ?? "EIO" }));
		// Whoever it has left behind may hold the pipe open for ever.
		child.on("exit", () => killGroup(child.pid));
		child.on("close", (code) => settle(code === 0 ? ascii(Buffer.concat(chunks)) : { errno: "EIO" }));
	});
}

function remnantOf(pid: number): Remnant | undefined {
	const text = attempt(() => readFileSync(`/proc/${pid}/stat`, "latin1"));
	if (typeof text !== "string") return undefined;
	const [state = "Z", ...fields] = text.slice(text.lastIndexOf(")") + 2).split(" ");
	const started = fields[18];
	// In a container nobody may wait for who has ended.
	return started === undefined || "ZX".includes(state) ? undefined : { pid, started };
}

/** Whether it has not ended yet. */
export function isLeft({ pid, started }: Remnant): boolean {
	return remnantOf(pid)?.started === started;
}

/** A program and all that it has started and left in its group. */
export function killGroup(pid: number | undefined): void {
	if (pid === undefined) return;
	try {
		process.kill(-pid, "SIGKILL");
	} catch (error) {
		// Nobody of the group is left, or only those who have another user.
		if (!(error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM"))) throw error;
	}
}

function ascii(bytes: Buffer): Output {
	return bytes.every((byte) => byte > 0 && byte < 0x80) ? { text: bytes.toString("latin1") } : { errno: "EILSEQ" };
}
