import type { DeviceClass } from "../policy.ts";

/** A PCI function on vfio-pci itself, which can hand a device to a guest but not take its state out again. */
export const plainVfioPci: DeviceClass = {
	name: "vfio-pci",
	match: { kind: ["pci"], driver: ["vfio-pci", "vfio_pci"] },
	refuse: {
		message:
			"vfio-pci itself cannot migrate a device; bind the vendor's variant driver (mlx5_vfio_pci, qat_vfio_pci ...) " +
			"on both hosts and set live_migratable in nova.conf, or detach the device before the migration",
	},
	source: "Documentation/driver-api/vfio-pci-device-specific-driver-acceptance.rst",
	date: "2026-08",
	rules: [],
};
