import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DRIVER = {
	source: "drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.c, vf_qm_check_match",
	date: "2026-08",
} as const;
const GENERATION = {
	source: "drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.c, hisi_acc_vfio_pci_probe",
	date: "2026-11",
} as const;
const STATE = {
	source: "drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.c, vf_qm_version_check",
	date: "2026-11",
} as const;
const QUEUES = { source: "drivers/crypto/hisilicon/qm.c, qm_vf_q_assign", date: "2026-11" } as const;

/**
 * VFs of the HiSilicon SEC, HPRE and ZIP accelerators: the driver refuses another device or number of queue pairs at load. What
 * that number follows from need not be the same for it to be, so a difference warns. The form of the state has changed between
 * releases of the kernel, of which the older one refuses what the newer one writes; distributions have moved the change to others.
 */
export const hisiliconVf: DeviceClass = {
	name: "hisilicon-vf",
	match: { kind: ["pci"], driver: ["hisi_acc_vfio_pci", "hisi-acc-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DRIVER },
		{ attribute: "uacce_api", kind: "none_of", values: ["hisi_qm_v1", "hisi_qm_v2"], ...GENERATION },
		{ attribute: "qp_num", kind: "equal", ...DRIVER },
		{ attribute: "que_iso_cfg", kind: "equal", ...DRIVER },
		{ attribute: "kernel_release", kind: "info", ...STATE },
		{ attribute: "sriov_numvfs", kind: "equal", severity: "warning", ...QUEUES },
		{ attribute: "pf_q_num", kind: "equal", severity: "warning", ...QUEUES },
	],
};
