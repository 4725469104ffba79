import type { Rule } from "../policy.ts";

/**
 * What all drivers of the kernel that are vfio-pci with migration have in common. Each of them hands out a device that cannot
 * migrate all the same, and a guest keeps the addresses that it has set for the BARs of the source.
 */
export const VARIANT_DRIVER: readonly Rule[] = [
	{ attribute: "vfio_migration", kind: "none_of", values: ["none"], source: "drivers/vfio/debugfs.c", date: "2026-11" },
	{ attribute: "bar_sizes", kind: "equal", source: "QEMU, get_pci_config_device of hw/pci/pci.c", date: "2026-11" },
];
