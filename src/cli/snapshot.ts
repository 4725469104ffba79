import { scanHost } from "../agent/scan.ts";
import { warningsOf } from "../agent/scan-result.ts";
import { complain } from "./complain.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly libvirtConfigDir: string;
	readonly overlayDir: string;
}

/** `novacompat snapshot`: prints what the agent would serve, and what it would warn of on standard error. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	const found = await scanHost(options);
	for (const warning of warningsOf(options, found.devices)) complain(warning);
	process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
}
