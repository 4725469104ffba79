import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import { collectAttributes, namedBy } from "../attributes.ts";
import { Findings } from "../findings.ts";
import { listOrDrop, readWhole } from "../read-whole.ts";
import type { Sysfs } from "../sysfs.ts";
import { classCollector } from "./classes.ts";
import type { Draft, Host } from "./collector.ts";
import { driverVersions } from "./driver.ts";
import { PCI_ADDRESS } from "./pci.ts";
import { addId } from "./pci-ids.ts";

export const MDEV_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `<driver>-<type id>`, for example `nvidia-558` or `i915-GVTg_V5_4`. */
const TYPE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$/;

/** A PCI address, but also a subchannel (`0.0.0313`) or `matrix`: mdevs are not only made from PCI functions. */
const PARENT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;

/** What tells boards apart on which mdevs are; their types have the same names on different boards. */
const BOARD_IDS = ["vendor", "device", "subsystem_vendor", "subsystem_device"] as const;

/**
 * Mediated devices and the types they can be created from (Documentation/ABI/testing/sysfs-bus-vfio-mdev). Both say on what
 * board they are: `parent_vendor`, `parent_device`, `parent_subsystem_vendor`, `parent_subsystem_device`.
 */
export function collectMdev(host: Host): SnapshotDevice[] {
	const add = additions(host);
	return [...instances(host.sysfs, add), ...types(host.sysfs, add)];
}

/** Adds what a device has from its parent and its class. */
type Add = (device: Draft & { readonly parent: string }, node: Sysfs) => void;

function additions(host: Host): Add {
	const addVersions = driverVersions(host);
	const addClass = classCollector(host);
	const boards = new Map<string, Findings | undefined>();
	function boardOf(parent: string): Findings | undefined {
		const node = PCI_ADDRESS.test(parent) ? host.sysfs.directory(`bus/pci/devices/${parent}`) : undefined;
		if (node === undefined) return undefined;
		const found = new Findings(node);
		for (const name of BOARD_IDS) addId(found, name, node, `parent_${name}`);
		const driver = node.link("driver");
		addVersions(driver !== undefined && "value" in driver ? driver.value : undefined, found);
		return found;
	}
	return (device, node) => {
		const { parent, found } = device;
		const board = boards.has(parent) ? boards.get(parent) : boardOf(parent);
		boards.set(parent, board);
		if (board === undefined) addVersions(undefined, found);
		else found.inherit(board);
		addClass(device, node);
	};
}

function types(sysfs: Sysfs, add: Add): SnapshotDevice[] {
	return [...parents(sysfs)].flatMap(([parent, node]) => {
		const supported = node.directory("mdev_supported_types");
		if (supported === undefined) return [];
		return listOrDrop(supported)
			.filter((type) => TYPE_NAME.test(type))
			.map((type) =>
				readWhole(
					() => supported.directory(type),
					(directory) => readType(parent, type, directory, add),
				),
			)
			.filter((device) => device !== undefined);
	});
}

/** A parent stands on its own bus and, from when it can create mdevs, in the class `mdev_bus`: a map, not a list. */
function parents(sysfs: Sysfs): ReadonlyMap<string, Sysfs> {
	const found = new Map<string, Sysfs>();
	for (const [path, grammar] of [
		["bus/pci/devices", PCI_ADDRESS],
		["class/mdev_bus", PARENT_NAME],
	] as const) {
		const directory = sysfs.directory(path);
		for (const name of directory?.list() ?? []) {
			const node = grammar.test(name) ? directory?.directory(name) : undefined;
			if (node !== undefined) found.set(name, node);
		}
	}
	return found;
}

function readType(parent: string, type: string, node: Sysfs, add: Add): SnapshotDevice {
	const found = collectType(type, node);
	const id = `${parent}/${type}`;
	const reading = node.read("available_instances") ?? { errno: "ENOENT" };
	// How many more can be created is not known: none are promised.
	const capacity = "value" in reading && /^\d{1,9}$/.test(reading.value) ? Number(reading.value) : undefined;
	if (capacity === undefined) {
		found.record("available_instances", { errno: "errno" in reading ? reading.errno : "EINVAL" });
	}
	add({ id, kind: "mdev_type", parent, found }, node);
	return found.device({ id, kind: "mdev_type", parent, capacity: capacity ?? 0 });
}

function instances(sysfs: Sysfs, add: Add): SnapshotDevice[] {
	const bus = sysfs.directory("bus/mdev/devices");
	if (bus === undefined) return [];
	return bus
		.list()
		.filter((name) => MDEV_UUID.test(name.toLowerCase()))
		.map((name) =>
			readWhole(
				() => bus.directory(name),
				(node) => readInstance(name.toLowerCase(), node, add),
			),
		)
		.filter((device) => device !== undefined);
}

function readInstance(id: string, node: Sysfs, add: Add): SnapshotDevice | undefined {
	const typeNode = node.directory("mdev_type");
	// `<parent>/mdev_supported_types/<type>`; the kernel removes this link first when it removes an mdev.
	const [parent, group, type] = typeNode?.path.split("/").slice(-3) ?? [];
	if (typeNode === undefined || parent === undefined || type === undefined) return undefined;
	if (group !== "mdev_supported_types" || !PARENT_NAME.test(parent) || !TYPE_NAME.test(type)) return undefined;
	const ofType = collectType(type, typeNode);
	const found = collectAttributes(node, namedBy(ofType));
	found.inherit(ofType);
	add({ id, kind: "mdev", parent, found }, node);
	return found.device({ id, kind: "mdev", parent, capacity: 1 });
}

/**
 * The name of the directory is the name of the type. `name` and `description` are for people (`GRID T4-4Q`;
 * `num_heads=4, framebuffer=4096M ...`, in GVT-g a line each): facts.
 */
function collectType(type: string, node: Sysfs): Findings {
	const found = collectAttributes(node);
	found.record("mdev_type", { value: type }, node.path);
	found.readFact("name", node);
	found.readFact("description", node, "description", (text) => text.trim().split("\n").join(", "));
	return found;
}
