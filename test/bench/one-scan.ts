import { spawnSync } from "node:child_process";
import { SCAN_OPTIONS, type ScanTask } from "../../src/agent/scan-process.ts";
import { NO_PREDECESSOR } from "../../src/agent/scan-result.ts";

const PRINT_RSS = "data:text/javascript,process.on('exit',()=>console.error(process.resourceUsage().maxRSS))";

export interface OneScan {
	/** From the start of the process to its end. */
	readonly seconds: number;
	/** The most memory that it had. */
	readonly megabytes: number;
	readonly devices: number;
}

/** One scan as the agent starts it; `program` is scan-child.js as it is built. */
export function oneScan(program: string, sysfsRoot: string): OneScan {
	const places = { host: "bench", sysfsRoot, libvirtDir: "/nonexistent" };
	const task: ScanTask = { places, before: NO_PREDECESSOR, stuck: [], remnants: [] };
	const options = [...SCAN_OPTIONS, `--import=${PRINT_RSS}`, program, JSON.stringify(task)];
	const started = performance.now();
	const { stdout, stderr } = spawnSync(process.execPath, options, {
		stdio: ["ignore", "pipe", "pipe", "pipe"],
		maxBuffer: 2 ** 30,
		encoding: "utf8",
	});
	const seconds = (performance.now() - started) / 1000;
	const devices = JSON.parse(stdout.slice(stdout.indexOf("\n"))).devices.length as number;
	return { seconds, megabytes: Number(stderr.trim()) / 1024, devices };
}
