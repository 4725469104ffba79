import { takeSnapshot } from "../agent/scan.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
}

/** `novacompat snapshot`: prints what the agent would serve. */
export function snapshot(options: SnapshotOptions): void {
	process.stdout.write(`${JSON.stringify(takeSnapshot(options), null, 2)}\n`);
}
