import { constants, fstatSync, openSync } from "node:fs";
import { pino } from "pino";

/** Characters; what does not fit is dropped. */
const MAX_UNWRITTEN = 4 * 1024 * 1024;
/** What is written in so long a time is one system call, by a thread that is woken once. */
const TOGETHER_MS = 5;
/** So long is waited for who reads a pipe when the process ends. */
const PATIENCE_AT_EXIT_MS = 100;

/** Takes one line with its end, and does not wait. */
type Write = (line: string) => void;

/** Nobody reads any more: that is no reason to stop checking. */
export function standardError(): Write {
	return writerTo({ dest: unblocked(process.stderr.fd) }, () => undefined);
}

/** Lines are written beside the work, those of a moment together, the last ones at exit: no check waits for a slow reader. */
export function writerTo(options: { dest: number | string; mode?: number }, onError: (error: Error) => void): Write {
	let lines = "";
	const flush = () => {
		destination.write(lines);
		lines = "";
	};
	let giveUp = Number.POSITIVE_INFINITY;
	// Before what pino does at exit, which waits for a reader as long as it takes.
	process.once("exit", () => {
		giveUp = performance.now() + PATIENCE_AT_EXIT_MS;
		try {
			flush();
			destination.flushSync();
		} catch {
			// Nobody takes it, or the disk is full.
		}
		destination.destroy();
	});
	const retryEAGAIN = () => performance.now() < giveUp;
	const destination = pino.destination({ ...options, sync: false, maxLength: MAX_UNWRITTEN, retryEAGAIN });
	destination.on("error", onError);
	return (line) => {
		if (lines === "") setTimeout(flush, TOGETHER_MS);
		lines += line;
	};
}

/** A pipe that is full would hold a thread, and with it the end of the process; only what is opened anew can be told not to. */
function unblocked(descriptor: number): number {
	if (!fstatSync(descriptor).isFIFO()) return descriptor;
	try {
		return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
	} catch {
		// It belongs to somebody else.
		return descriptor;
	}
}
