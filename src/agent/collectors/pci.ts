import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import { collectAttributes } from "../attributes.ts";
import type { Findings } from "../findings.ts";
import { readWhole } from "../read-whole.ts";
import type { Sysfs } from "../sysfs.ts";
import { addBars } from "./bars.ts";
import { classCollector } from "./classes.ts";
import type { Draft, Host } from "./collector.ts";
import { driverVersions } from "./driver.ts";
import { addId, PCI_IDS } from "./pci-ids.ts";

/** Domain, bus, device, function as the kernel prints them; anything else below `bus/pci/devices` is skipped. */
export const PCI_ADDRESS = /^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/;

/** Files that are told and never compared: where a function is, how it is to be bound, how many VFs a PF has and of which id. */
const FACTS = ["numa_node", "driver_override", "sriov_numvfs", "sriov_totalvfs", "sriov_vf_device"] as const;

/** What such a file says where there is none: no NUMA node, no override. */
const NONE: ReadonlySet<string> = new Set(["-1", "(null)"]);

/**
 * Every PCI function of the host, assignable or not (Documentation/ABI/testing/sysfs-bus-pci). Address, NUMA node and IOMMU
 * group are places: two devices that are alike differ in them, so they are facts and no attributes.
 */
export function collectPci(host: Host): SnapshotDevice[] {
	const bus = host.sysfs.directory("bus/pci/devices");
	if (bus === undefined) return [];
	const addVersions = driverVersions(host);
	const addClass = classCollector(host);
	return bus
		.list()
		.filter((address) => PCI_ADDRESS.test(address))
		.map((address) =>
			readWhole(
				() => bus.directory(address),
				(node) => readFunction(address, node, { addVersions, addClass }),
			),
		)
		.filter((device) => device !== undefined);
}

interface Additions {
	readonly addVersions: ReturnType<typeof driverVersions>;
	readonly addClass: (device: Draft, node: Sysfs) => void;
}

/**
 * `driver` keeps the kernel's spelling (`mlx5_vfio_pci`, `vfio-pci`): both `_` and `-` occur in driver names and a policy
 * names a driver as `lspci -k` shows it. `device_api` follows from the driver: vfio-pci and its variants offer vfio-pci, and so
 * does one with another name that made a `vfio-dev`, as nvidia does. A `device_api` file of the driver says more than that.
 */
function readFunction(id: string, node: Sysfs, { addVersions, addClass }: Additions): SnapshotDevice | undefined {
	const found = collectAttributes(node);
	for (const name of PCI_IDS) addId(found, name, node);
	// The kernel gives every function these two: without them the directory is one that is being removed.
	if (!found.has("vendor") || !found.has("device")) return undefined;

	found.record("driver", node.link("driver"));
	const driver = found.attributes["driver"];
	const isVfio = driver?.includes("vfio") || node.list().includes("vfio-dev");
	if (isVfio && !found.has("device_api")) {
		found.record("device_api", { value: "vfio-pci" }, `bus/pci/drivers/${driver}`);
	}
	addVersions(driver, found);
	addBars(found, node);
	const physfn = node.link("physfn");
	const parent = physfn !== undefined && "value" in physfn && PCI_ADDRESS.test(physfn.value) ? physfn.value : undefined;
	addPlaces(found, node);
	addClass({ id, kind: "pci", parent, found }, node);
	return found.device({ id, kind: "pci", ...(parent === undefined ? {} : { parent }), capacity: 1 });
}

/** The PCI function nearest to a directory below it; an auxiliary or virtio device may stand in between. */
export function functionAbove({ path }: Sysfs): string | undefined {
	return path.split("/").findLast((name) => PCI_ADDRESS.test(name));
}

function addPlaces(found: Findings, node: Sysfs): void {
	const files = node.list();
	if (files.includes("iommu_group")) found.fact("iommu_group", node.link("iommu_group"));
	for (const name of FACTS) {
		if (files.includes(name)) found.readFact(name, node, name, (text) => (NONE.has(text) ? "" : text));
	}
}
