import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DRIVER = { source: "drivers/crypto/intel/qat/qat_common/adf_gen4_vf_mig.c", date: "2026-08" } as const;
const ABI = { source: "Documentation/ABI/testing/sysfs-driver-qat", date: "2026-08" } as const;

/** VFs of Intel QAT generation 4 and later. */
export const qatVf: DeviceClass = {
	name: "qat-vf",
	match: { kind: ["pci"], driver: ["qat_vfio_pci", "qat-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DRIVER },
		{ attribute: "state", kind: "one_of", values: ["up"], ...ABI },
		{ attribute: "cfg_services", kind: "superset", compare: "exact", ...ABI },
		{ attribute: "capabilities", kind: "mask_superset", ...DRIVER },
		{ attribute: "extended_dc_capabilities", kind: "mask_superset", ...DRIVER },
		{ attribute: "ring_to_service_map", kind: "mask_equal", ...DRIVER },
	],
};
