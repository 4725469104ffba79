import type { DeviceClass } from "../policy.ts";

const DRIVER = {
	source: "drivers/vfio/pci/hisilicon/hisi_acc_vfio_pci.c, vf_qm_check_match",
	date: "2026-08",
} as const;

/** VFs of the HiSilicon SEC, HPRE and ZIP accelerators: the driver refuses another device or number of queue pairs at load. */
export const hisiliconVf: DeviceClass = {
	name: "hisilicon-vf",
	match: { kind: ["pci"], driver: ["hisi_acc_vfio_pci", "hisi-acc-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DRIVER },
		{ attribute: "qp_num", kind: "equal", ...DRIVER },
		{ attribute: "que_iso_cfg", kind: "equal", ...DRIVER },
	],
};
