import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DRIVER = { source: "drivers/vfio/pci/pds, Linux 6.6", date: "2026-08" } as const;

/** VFs of AMD Pensando DSCs. */
export const pdsVf: DeviceClass = {
	name: "pds-vf",
	match: { kind: ["pci"], driver: ["pds_vfio_pci", "pds-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DRIVER },
		{ attribute: "fw_version", kind: "version", severity: "warning", ...DRIVER },
	],
};
