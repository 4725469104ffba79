import { openSync, writeSync } from "node:fs";
import { pino } from "pino";
import { unblocked } from "../daemon/unblocked.ts";

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
	/** Failing: nobody takes it, or the disk is full. */
	let state: "idle" | "writing" | "failing" = "idle";
	const flush = () => {
		if (state === "idle") state = "writing";
		destination.write(lines);
		lines = "";
	};
	let giveUp = Number.POSITIVE_INFINITY;
	// Before what pino does at exit for all of them, which waits for a reader or for room as long as it takes.
	process.prependOnceListener("exit", () => {
		giveUp = performance.now() + PATIENCE_AT_EXIT_MS;
		try {
			// pino's own tries for ever when it fails: it is only for what is being taken.
			const { dest, mode } = options;
			if (state === "idle") writeNow(typeof dest === "number" ? dest : openSync(dest, "a", mode), lines, giveUp);
			else if (state === "writing") {
				flush();
				destination.flushSync();
			}
		} catch {
			// The reader is too slow or gone, or the disk is full.
		}
		destination.destroy();
	});
	const retryEAGAIN = () => performance.now() < giveUp;
	const destination = pino.destination({ ...options, sync: false, maxLength: MAX_UNWRITTEN, retryEAGAIN });
	let [dropped, told] = [0, 0];
	// pino's own one stops for good when a reader has gone, though there may be another one.
	destination.removeAllListeners("error").on("error", (error) => {
		state = "failing";
		onError(error);
	});
	destination.on("write", () => {
		state = "writing";
	});
	destination.on("drop", (lost) => {
		dropped += lost.split("\n").length - 1;
		// After an error what waits is only tried again when something is added.
		destination.write("");
	});
	destination.on("drain", () => {
		state = "idle";
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

/** Throws when that is not possible, or not until then, on the clock of `performance.now()`. */
function writeNow(descriptor: number, text: string, giveUp: number): void {
	let rest: Buffer = Buffer.from(text);
	while (rest.length > 0) {
		try {
			rest = rest.subarray(writeSync(descriptor, rest));
		} catch (error) {
			const isFull = (error as NodeJS.ErrnoException).code === "EAGAIN";
			if (!isFull || performance.now() > giveUp) throw error;
		}
	}
}
