import type { Findings } from "../findings.ts";
import type { Reading } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";
import type { Host } from "./collector.ts";

interface Module {
	/** Its directory below the root. */
	readonly path: string;
	readonly version: Reading;
	readonly srcversion: Reading;
}

/**
 * Adds what is known of the software below a device: `driver_version`, which is `/sys/module/<module>/version` and there
 * only if the module sets one (include/linux/module.h, MODULE_VERSION; nvidia does, most modules of the kernel do not), and
 * `kernel_release`, which for all others is the version that they have. `srcversion`, a checksum of the module's sources, is in
 * most distributions' kernels (CONFIG_MODULE_SRCVERSION_ALL): a fact, since two kernels have two of a driver that is the same.
 */
export function driverVersions({ sysfs, told }: Host): (driver: string | undefined, found: Findings) => void {
	const known = new Map<string, Module>();
	function moduleOf(driver: string): Module {
		const found = known.get(driver) ?? readModule(sysfs, driver);
		known.set(driver, found);
		return found;
	}
	return (driver, found) => {
		if (driver !== undefined) {
			const { path, version, srcversion } = moduleOf(driver);
			found.record("driver_version", version, `${path}/version`);
			found.fact("driver_srcversion", srcversion, `${path}/srcversion`);
		}
		const { kernel_release } = told;
		if (kernel_release !== undefined) found.record("kernel_release", { value: kernel_release }, "uname -r");
	};
}

/** A driver built into the kernel has no module. */
function readModule(sysfs: Sysfs, driver: string): Module {
	const module = sysfs.directory(`bus/pci/drivers/${driver}/module`);
	return { path: `${module?.path}`, version: module?.read("version"), srcversion: module?.read("srcversion") };
}
