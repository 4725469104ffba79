import { takeSnapshot } from "../agent/scan.ts";
import { askHost } from "../agent/tools.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly overlayDir: string;
}

/** `novacompat snapshot`: prints what the agent would serve. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	const told = await askHost(options.sysfsRoot);
	process.stdout.write(`${JSON.stringify(takeSnapshot({ ...options, told }), null, 2)}\n`);
}
