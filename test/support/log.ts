import { createLogger } from "../../src/log/logger.ts";

/** The real logger; `lines` is everything that it wrote. */
export function recordingLog() {
	const lines: string[] = [];
	return { log: createLogger("novacompat.test", true, (line) => lines.push(line)), lines };
}
