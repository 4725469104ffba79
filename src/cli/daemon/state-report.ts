import { readdirSync } from "node:fs";
import type { Logger } from "../../log/logger.ts";
import { tally } from "../counting.ts";

/** Names of numbers and words: no secret, no host, no device. */
export type State = Readonly<Record<string, unknown>>;

const MEBIBYTE = 1024 * 1024;

/** What a service is doing, a line for each of its parts: Nova's guru meditation report, for `kill -USR2`. */
export function reportState(parts: Readonly<Record<string, State>>, log: Logger): void {
	const all = { process: processState(), ...parts };
	for (const [part, state] of Object.entries(all))
		log.info(`state report: ${part}: ${fields(state)}`, {}, { [part]: state });
}

function processState(): State {
	const { rss, heapUsed, heapTotal } = process.memoryUsage();
	return {
		node: process.version,
		uptime_s: Math.round(process.uptime()),
		rss_mib: Math.round(rss / MEBIBYTE),
		heap_used_mib: Math.round(heapUsed / MEBIBYTE),
		heap_total_mib: Math.round(heapTotal / MEBIBYTE),
		event_loop_utilization: Number(performance.eventLoopUtilization().utilization.toFixed(4)),
		open_files: openFiles(),
		resources: tally(process.getActiveResourcesInfo()),
	};
}

function openFiles(): number | undefined {
	try {
		return readdirSync("/proc/self/fd").length;
	} catch {
		// No descriptor is left to look with.
		return undefined;
	}
}

/** `rss_mib 81, breakers (open 0, quiet 1)`. */
function fields(state: State): string {
	return Object.entries(state)
		.map(([name, value]) =>
			typeof value === "object" && value !== null ? `${name} (${fields(value as State)})` : `${name} ${value ?? "-"}`,
		)
		.join(", ");
}
