import { type ClassCollector, hasDriver, physicalFunction } from "./collector.ts";

/**
 * VFs of the HiSilicon SEC, HPRE and ZIP accelerators: `api` and `algorithms` of the PF's uacce device, which tell apart
 * generations that share their PCI ids (verified in Documentation/ABI/testing/sysfs-driver-uacce; `hisi_qm_v3`, one
 * algorithm a line). The number of queue pairs and their isolation, which the driver compares at load, are in no file:
 * debugfs shows those of the function whose number was written to `current_qm` (debugfs-hisi-zip), so an overlay gives them.
 */
export const hisilicon: ClassCollector = (host) => (device) => {
	if (!hasDriver(device, "hisi_acc_vfio_pci")) return;
	const uacce = physicalFunction(host, device)?.directory("uacce");
	const [name] = uacce?.list() ?? [];
	const own = name === undefined ? undefined : uacce?.directory(name);
	if (own === undefined) return;
	device.found.read("uacce_api", own, "api");
	device.found.read("uacce_algorithms", own, "algorithms", (text) => text.trim().split("\n").join(","));
};
