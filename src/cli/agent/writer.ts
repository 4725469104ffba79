import { writeSync } from "node:fs";
import { unblocked } from "../daemon/unblocked.ts";

/**
 * Standard error without the packages that writer.ts needs: a line is one system call, which does not wait. A line that nobody takes is
 * lost; with the first one that is taken again `onAgain` is told how many were, since the start.
 */
export function standardError(onAgain: (dropped: number) => void): (line: string) => void {
	// systemd gives a socket: Node.js does not wait for one that it has looked at, as here.
	const descriptor = unblocked(process.stderr.fd);
	/** Of a line that has been begun. */
	let rest: Buffer = Buffer.alloc(0);
	const isTaken = (line: Buffer): boolean => {
		try {
			if (rest.length > 0) rest = rest.subarray(writeSync(descriptor, rest));
			if (rest.length > 0) return false;
			rest = line.subarray(writeSync(descriptor, line));
			return true;
		} catch {
			// It is full, nobody reads it, or the disk is full.
			return false;
		}
	};
	let [dropped, told] = [0, 0];
	return (line) => {
		if (!isTaken(Buffer.from(line))) {
			dropped++;
		} else if (dropped > told) {
			told = dropped;
			onAgain(dropped);
		}
	};
}
