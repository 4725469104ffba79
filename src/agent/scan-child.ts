import { writeSync } from "node:fs";
import { LibvirtError } from "./libvirt.ts";
import { OverlayError } from "./overlay.ts";
import type { ScanHeader, ScanTask } from "./scan-process.ts";
import { scanAfter } from "./scan-result.ts";
import { SysfsError } from "./sysfs.ts";
import { askHost } from "./tools.ts";

/** The program that scan-process.ts starts for one scan: a task in, a header and perhaps a body out. */

const HEARTBEAT_MS = 250;
const HEARTBEAT_DESCRIPTOR = 3;

const task = JSON.parse(process.argv[2] ?? "") as ScanTask;

let last = 0;
function alive(): void {
	const now = performance.now();
	if (now - last < HEARTBEAT_MS) return;
	last = now;
	writeSync(HEARTBEAT_DESCRIPTOR, ".");
}

// Most files that are looked for are not there, and the stack of that is never shown.
Error.stackTraceLimit = 0;
// While something other than a file of sysfs is waited for, the event loop goes on.
setInterval(alive, HEARTBEAT_MS).unref();
let { remnants } = task;
try {
	const told = await askHost(task.places.sysfsRoot, undefined, remnants);
	remnants = told.remnants ?? [];
	const watch = { stuck: new Set(task.stuck), alive };
	const { body, ...header } = await scanAfter(task.before, task.places, { told, watch });
	const changed = header.digest !== task.before.digest;
	write({ ...header, remnants, bytes: changed ? body.length : 0 });
	if (changed) process.stdout.write(body);
} catch (error) {
	if (!(error instanceof SysfsError || error instanceof LibvirtError || error instanceof OverlayError)) throw error;
	write({ error: error.message, remnants });
}

function write(header: ScanHeader): void {
	process.stdout.write(`${JSON.stringify(header)}\n`);
}
