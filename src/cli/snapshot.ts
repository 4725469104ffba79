import { scanHost } from "../agent/scan.ts";
import { warningsOf } from "../agent/scan-result.ts";
import { HOST_NAME, HOST_NAME_FORM } from "../snapshot/limits.ts";
import { complain } from "./complain.ts";
import { UsageError } from "./exit-codes.ts";

export interface SnapshotOptions {
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir: string;
	readonly libvirtConfigDir: string;
	readonly overlayDir: string;
}

/** What the agent would not start with: a snapshot of such a host nobody takes. @throws {UsageError} */
export function checkPlaces({ host, sysfsRoot, libvirtDir, libvirtConfigDir, overlayDir }: SnapshotOptions): void {
	if (!HOST_NAME.test(host)) throw new UsageError(`--host is ${JSON.stringify(host)}, expected ${HOST_NAME_FORM}`);
	const paths = {
		"sysfs-root": sysfsRoot,
		"libvirt-dir": libvirtDir,
		"libvirt-config-dir": libvirtConfigDir,
		"overlay-dir": overlayDir,
	};
	for (const [option, path] of Object.entries(paths))
		if (path === "") throw new UsageError(`--${option} is "", expected a path`);
}

/** `novacompat snapshot`: prints what the agent would serve, and what it would warn of on standard error. */
export async function snapshot(options: SnapshotOptions): Promise<void> {
	checkPlaces(options);
	const found = await scanHost(options);
	for (const warning of warningsOf(options, found)) complain(warning);
	process.stdout.write(`${JSON.stringify(found, null, 2)}\n`);
}
