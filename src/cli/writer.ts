import { pino } from "pino";
import { unblocked } from "./unblocked.ts";

/** Characters; what does not fit is dropped. */
const MAX_UNWRITTEN = 4 * 1024 * 1024;
/** What is written in so long a time is one system call, by a thread that is woken once. */
const TOGETHER_MS = 5;
/** So long is waited for who reads a pipe when the process ends. */
const PATIENCE_AT_EXIT_MS = 100;

export interface Writer {
	/** Takes one line with its end, and does not wait. */
	readonly write: (line: string) => void;
	/** Lines for which there was no room, since the start. */
	readonly dropped: number;
}

interface Events {
	/** What could not be written is tried again with the next line. */
	readonly onError?: (error: Error) => void;
	/** All is written that there was room for; `dropped` lines were lost, since the start. */
	readonly onAgain?: (dropped: number) => void;
}

/** Nobody reads any more: that is no reason to stop checking. */
export function standardError(onAgain: (dropped: number) => void): Writer {
	return writerTo({ dest: unblocked(process.stderr.fd) }, { onAgain });
}

/** Lines are written beside the work, those of a moment together, the last ones at exit: no check waits for a slow reader. */
export function writerTo(
	options: { dest: number | string; mode?: number },
	{ onError = () => undefined, onAgain = () => undefined }: Events,
): Writer {
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
	let [dropped, told] = [0, 0];
	// pino's own one stops for good when a reader has gone, though there may be another one.
	destination.removeAllListeners("error").on("error", onError);
	destination.on("drop", (lost) => {
		dropped += lost.split("\n").length - 1;
		// After an error what waits is only tried again when something is added.
		destination.write("");
	});
	destination.on("drain", () => {
		if (dropped === told) return;
		told = dropped;
		onAgain(dropped);
	});
	return {
		write(line) {
			if (lines === "") setTimeout(flush, TOGETHER_MS);
			lines += line;
		},
		get dropped() {
			return dropped;
		},
	};
}
