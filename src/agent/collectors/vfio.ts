import type { Sysfs } from "../sysfs.ts";
import type { ClassCollector, Draft } from "./collector.ts";

/**
 * What vfio tells of any device that it has: facts, which differ between two devices that are alike. `vfio-dev/vfio<N>` is
 * its character device. `/sys/kernel/debug/vfio/<device>/migration/{state,features}` is what the bound driver says that it can
 * and does (Documentation/ABI/testing/debugfs-vfio, drivers/vfio/debugfs.c; Linux 6.8 and 6.18): for root only, and a device
 * that nobody has open may say ERROR, so a state is no attribute to compare.
 *
 * The attribute `vfio_migration` is `none` where that directory has no `migration`: the driver cannot migrate this device. It is
 * absent otherwise, because a kernel that tells nothing is as good as one that does.
 */
export const vfio: ClassCollector = ({ sysfs }) => {
	const debug = debugDirectory(sysfs);
	return (device, node) => {
		const { id, found } = device;
		if (!node.list().includes("vfio-dev")) return;
		const directory = node.directory("vfio-dev");
		const [name] = directory?.list() ?? [];
		if (name !== undefined) found.fact("vfio_dev", { value: name }, directory?.path);
		const own = debug?.directory(id);
		const migration = own?.directory("migration");
		if (own !== undefined && migration === undefined && isVariant(device))
			found.record("vfio_migration", { value: "none" }, own.path);
		if (migration === undefined) return;
		found.readFact("migration_state", migration, "state");
		found.readFact("migration_features", migration, "features", (text) => text.trim().split("\n").join(","));
	};
};

/** A driver of the kernel for one class of devices: it says what it can before vfio makes the directory. Others may do so later. */
function isVariant({ found }: Draft): boolean {
	return /[_-]vfio[_-]pci$/.test(found.attributes["driver"] ?? "");
}

function debugDirectory(sysfs: Sysfs): Sysfs | undefined {
	return sysfs.directory("kernel/debug")?.directory("vfio");
}

/** Why the debugfs of vfio cannot be read; undefined when it can, or when the kernel has none. */
export function debugfsErrno(sysfs: Sysfs): string | undefined {
	const reading = sysfs.directory("kernel/debug")?.read("vfio");
	return reading !== undefined && "errno" in reading && reading.errno !== "EISDIR" ? reading.errno : undefined;
}
