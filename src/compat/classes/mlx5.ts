import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DEVLINK = { source: "Documentation/networking/devlink/devlink-port.rst", date: "2026-08" } as const;

const SAME_BOARD = {
	source:
		"docs.nvidia.com/doca/archive/2-9-3/sr-iov+live+migration; RHEL 10, live migrating a VM with an attached Mellanox VF",
	date: "2026-11",
} as const;

/**
 * VFs of ConnectX and BlueField; the PF must have been told with devlink that the VF may migrate, and be of the same board. The form of
 * the state has changed in Linux 6.2 and 6.3, each unreadable to those before; distributions have moved the changes to others.
 */
export const mlx5Vf: DeviceClass = {
	name: "mlx5-vf",
	match: { kind: ["pci"], driver: ["mlx5_vfio_pci", "mlx5-vfio-pci"] },
	migration: "known",
	source: "drivers/vfio/pci/mlx5, Linux 5.18",
	date: "2026-08",
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", source: "drivers/vfio/pci/mlx5, Linux 5.18", date: "2026-08" },
		{ attribute: "parent_device", kind: "equal", ...SAME_BOARD },
		{ attribute: "fw_psid", kind: "equal", ...SAME_BOARD },
		{ attribute: "migratable", kind: "one_of", values: ["enable"], ...DEVLINK },
		{ attribute: "roce", kind: "equal", ...DEVLINK },
		{ attribute: "ipsec_crypto", kind: "equal", ...DEVLINK },
		{ attribute: "ipsec_packet", kind: "equal", ...DEVLINK },
		{ attribute: "max_io_eqs", kind: "equal", ...DEVLINK },
		{
			attribute: "kernel_release",
			kind: "info",
			source: "drivers/vfio/pci/mlx5/main.c, mlx5vf_resume_read_header",
			date: "2026-11",
		},
		{ attribute: "fw_version", kind: "version", compare: "major", severity: "warning", ...SAME_BOARD },
	],
};
