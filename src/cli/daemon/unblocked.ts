import { constants, fstatSync, openSync } from "node:fs";

/** A pipe that is full would hold who writes to it; only what is opened anew can be told not to without telling who shares it. */
export function unblocked(descriptor: number): number {
	if (!fstatSync(descriptor).isFIFO()) return descriptor;
	try {
		return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK);
	} catch {
		// It belongs to somebody else.
		return descriptor;
	}
}
