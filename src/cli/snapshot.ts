import { scanHost } from "../agent/scan.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly overlayDir: string;
}

/** `novacompat snapshot`: prints what the agent would serve. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	process.stdout.write(`${JSON.stringify(await scanHost(options), null, 2)}\n`);
}
