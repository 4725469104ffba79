import type { Findings } from "../findings.ts";
import type { Reading } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";
import type { Host } from "./collector.ts";

interface ModuleVersion {
	readonly reading: Reading;
	readonly source: string;
}

/**
 * Adds what is known of the software below a device: `driver_version`, which is `/sys/module/<module>/version` and there
 * only if the module sets one (include/linux/module.h, MODULE_VERSION; nvidia does, most modules of the kernel do not), and
 * `kernel_release`, which for all others is the version that they have.
 */
export function driverVersions({ sysfs, told }: Host): (driver: string | undefined, found: Findings) => void {
	const known = new Map<string, ModuleVersion>();
	function versionOf(driver: string): ModuleVersion {
		const found = known.get(driver) ?? readVersion(sysfs, driver);
		known.set(driver, found);
		return found;
	}
	return (driver, found) => {
		if (driver !== undefined) {
			const { reading, source } = versionOf(driver);
			found.record("driver_version", reading, source);
		}
		const { kernel_release } = told;
		if (kernel_release !== undefined) found.record("kernel_release", { value: kernel_release }, "uname -r");
	};
}

/** A driver built into the kernel has no module. */
function readVersion(sysfs: Sysfs, driver: string): ModuleVersion {
	const module = sysfs.directory(`bus/pci/drivers/${driver}/module`);
	return { reading: module?.read("version"), source: `${module?.path}/version` };
}
