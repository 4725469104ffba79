import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DEVLINK = { source: "Documentation/networking/devlink/devlink-port.rst", date: "2026-08" } as const;

/** VFs of ConnectX and BlueField; the PF must have been told with devlink that the VF may migrate. */
export const mlx5Vf: DeviceClass = {
	name: "mlx5-vf",
	match: { kind: ["pci"], driver: ["mlx5_vfio_pci", "mlx5-vfio-pci"] },
	migration: "known",
	source: "drivers/vfio/pci/mlx5, Linux 5.18",
	date: "2026-08",
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", source: "drivers/vfio/pci/mlx5, Linux 5.18", date: "2026-08" },
		{ attribute: "migratable", kind: "one_of", values: ["enable"], ...DEVLINK },
		{ attribute: "roce", kind: "equal", ...DEVLINK },
		{ attribute: "ipsec_crypto", kind: "equal", ...DEVLINK },
		{ attribute: "ipsec_packet", kind: "equal", ...DEVLINK },
		{ attribute: "max_io_eqs", kind: "equal", ...DEVLINK },
		{ attribute: "fw_version", kind: "version", compare: "major", severity: "warning", ...DEVLINK },
	],
};
