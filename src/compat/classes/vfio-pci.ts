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

/** Variant drivers of the kernel that are there for something else than migration: memory that the CPU sees too, instructions of s390. */
export const variantWithoutMigration: DeviceClass = {
	name: "vfio-pci-without-migration",
	match: {
		kind: ["pci"],
		driver: ["nvgrace_gpu_vfio_pci", "nvgrace-gpu-vfio-pci", "ism_vfio_pci", "ism-vfio-pci"],
	},
	refuse: {
		message:
			"its driver is one of vfio's that cannot migrate a device (no kernel release has migration for it); " +
			"detach the device before the migration, or declare with an overlay what a driver that can migrate it accepts",
	},
	source: "drivers/vfio/pci/nvgrace-gpu, drivers/vfio/pci/ism",
	date: "2026-11",
	rules: [],
};
