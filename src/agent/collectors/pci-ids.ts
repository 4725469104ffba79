import type { Findings } from "../findings.ts";
import type { Sysfs } from "../sysfs.ts";

/** The kernel writes these as `0x8086` (Documentation/ABI/testing/sysfs-bus-pci); a snapshot has them as `8086`. */
export const PCI_IDS = ["vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision"] as const;

/** Adds an id of a PCI function, `name` being what its file is called, as `attribute`. */
export function addId(found: Findings, name: (typeof PCI_IDS)[number], node: Sysfs, attribute: string = name): void {
	found.read(attribute, node, name, (text) => text.trim().toLowerCase().replace(/^0x/, ""));
}
