import { type ClassCollector, hasDriver, physicalFunction } from "./collector.ts";

/**
 * VFs of the HiSilicon SEC, HPRE and ZIP accelerators, all of it from the PF:
 *
 * - `uacce_api`, `uacce_algorithms`: `api` and `algorithms` of its uacce device, which tell apart generations that share their
 *   PCI ids (Documentation/ABI/testing/sysfs-driver-uacce; `hisi_qm_v3`, one algorithm a line).
 * - `sriov_numvfs`, `pf_q_num`: how many VFs share the queues that are left, and how many queues the PF's driver keeps, as the
 *   parameter of its module has it (sysfs-bus-pci; drivers/crypto/hisilicon/zip/zip_main.c and its like, mode 0444).
 *
 * The number of queue pairs of a VF and their isolation, which the driver compares at load, follow from these and from the
 * hardware (drivers/crypto/hisilicon/qm.c, `qm_vf_q_assign`) and are in no file that can be read: debugfs shows those of the
 * function whose number was written to `current_qm` (debugfs-hisi-zip), and dumps what is migrated in no defined format
 * (debugfs-hisi-migration). So an overlay gives them.
 */
export const hisilicon: ClassCollector = (host) => (device) => {
	if (!hasDriver(device, "hisi_acc_vfio_pci")) return;
	const { found } = device;
	const pf = physicalFunction(host, device);
	if (pf === undefined) return;
	found.read("sriov_numvfs", pf);
	const parameters = pf.directory("driver/module/parameters");
	if (parameters !== undefined) found.read("pf_q_num", parameters);
	const uacce = pf.directory("uacce");
	const [name] = uacce?.list() ?? [];
	const own = name === undefined ? undefined : uacce?.directory(name);
	if (own === undefined) return;
	found.read("uacce_api", own, "api");
	found.read("uacce_algorithms", own, "algorithms", (text) => text.trim().split("\n").join(","));
};
