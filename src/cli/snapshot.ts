import { scanHost } from "../agent/scan.ts";
import { missingIn } from "../agent/scan-result.ts";
import { complain } from "./complain.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly overlayDir: string;
}

/** `novacompat snapshot`: prints what the agent would serve, and what it would warn of on standard error. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	for (const warning of missingIn(options)) complain(warning);
	process.stdout.write(`${JSON.stringify(await scanHost(options), null, 2)}\n`);
}
