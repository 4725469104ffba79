import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import { collectAttributes } from "../attributes.ts";
import { readWhole, type Sysfs } from "../sysfs.ts";

/** Domain, bus, device, function as the kernel prints them; anything else below `bus/pci/devices` is skipped. */
export const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** The kernel writes these as `0x8086` (Documentation/ABI/testing/sysfs-bus-pci); a snapshot has them as `8086`. */
const HEX_ATTRIBUTES = ["vendor", "device", "subsystem_vendor", "subsystem_device", "class", "revision"] as const;

/** Every PCI function of the host, assignable or not. Addresses, NUMA node and IOMMU group are places, not attributes. */
export function collectPci(sysfs: Sysfs): SnapshotDevice[] {
	const bus = sysfs.directory("bus/pci/devices");
	if (bus === undefined) return [];
	return bus
		.list()
		.filter((address) => PCI_ADDRESS.test(address))
		.map((address) =>
			readWhole(
				() => bus.directory(address),
				(node) => readFunction(address, node),
			),
		)
		.filter((device) => device !== undefined);
}

/**
 * `driver` keeps the kernel's spelling (`mlx5_vfio_pci`, `vfio-pci`): both `_` and `-` occur in driver names and a policy
 * names a driver as `lspci -k` shows it. `device_api` follows from the driver: vfio-pci and its variants offer vfio-pci.
 */
function readFunction(id: string, node: Sysfs): SnapshotDevice | undefined {
	const attributes: Record<string, string> = {};
	const unreadable: Record<string, string> = {};
	for (const name of HEX_ATTRIBUTES) {
		const reading = node.read(name);
		if (reading === undefined) continue;
		if ("value" in reading) attributes[name] = reading.value.trim().toLowerCase().replace(/^0x/, "");
		else unreadable[name] = reading.errno;
	}
	// The kernel gives every function these two: without them the directory is one that is being removed.
	if (!["vendor", "device"].every((name) => name in attributes || name in unreadable)) return undefined;

	const driver = node.link("driver");
	if (driver !== undefined && "value" in driver) {
		attributes["driver"] = driver.value;
		if (driver.value.includes("vfio")) attributes["device_api"] = "vfio-pci";
	} else if (driver !== undefined) unreadable["driver"] = driver.errno;

	const own = collectAttributes(node);
	const physfn = node.link("physfn");
	const parent = physfn !== undefined && "value" in physfn && PCI_ADDRESS.test(physfn.value) ? physfn.value : undefined;
	return {
		id,
		kind: "pci",
		...(parent === undefined ? {} : { parent }),
		capacity: 1,
		attributes: { ...own.attributes, ...attributes, ...explicitDeviceApi(own.attributes) },
		unreadable: { ...own.unreadable, ...unreadable },
	};
}

/** A `device_api` file of the driver or an overlay says more than the driver's name does. */
function explicitDeviceApi(attributes: Readonly<Record<string, string>>): Record<string, string> {
	const api = attributes["device_api"];
	return api === undefined ? {} : { device_api: api };
}
