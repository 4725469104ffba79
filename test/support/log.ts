import { createLogger } from "../../src/log/logger.ts";
import { jsonLines } from "../../src/log/oslo-json.ts";
import { localTime } from "../../src/log/time.ts";

/** Lines of JSON as they are by default. */
export const osloJson = jsonLines(localTime);

/** The real logger; `lines` is everything that it wrote. */
export function recordingLog() {
	const lines: string[] = [];
	return { log: createLogger("novacompat.test", true, (line) => lines.push(line)), lines };
}
