import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import { type Collected, collectAttributes, namedBy, override } from "../attributes.ts";
import { readWhole, type Sysfs } from "../sysfs.ts";
import { PCI_ADDRESS } from "./pci.ts";

export const MDEV_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** `<driver>-<type id>`, for example `nvidia-558` or `i915-GVTg_V5_4`. */
const TYPE_NAME = /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$/;

/** A PCI address, but also a subchannel (`0.0.0313`) or `matrix`: mdevs are not only made from PCI functions. */
const PARENT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$/;

/** Mediated devices and the types they can be created from (Documentation/ABI/testing/sysfs-bus-vfio-mdev). */
export function collectMdev(sysfs: Sysfs): SnapshotDevice[] {
	return [...instances(sysfs), ...types(sysfs)];
}

function types(sysfs: Sysfs): SnapshotDevice[] {
	return [...parents(sysfs)].flatMap(([parent, node]) => {
		const supported = node.directory("mdev_supported_types");
		if (supported === undefined) return [];
		return supported
			.list()
			.filter((type) => TYPE_NAME.test(type))
			.map((type) =>
				readWhole(
					() => supported.directory(type),
					(directory) => readType(parent, type, directory),
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

function readType(parent: string, type: string, node: Sysfs): SnapshotDevice {
	const { attributes, unreadable } = collectType(type, node);
	const reading = node.read("available_instances") ?? { errno: "ENOENT" };
	const capacity = "value" in reading && /^\d{1,9}$/.test(reading.value) ? Number(reading.value) : undefined;
	const errno = "errno" in reading ? reading.errno : "EINVAL";
	return {
		id: `${parent}/${type}`,
		kind: "mdev_type",
		parent,
		// How many more can be created is not known: none are promised.
		capacity: capacity ?? 0,
		attributes,
		unreadable: capacity === undefined ? { ...unreadable, available_instances: errno } : unreadable,
	};
}

function instances(sysfs: Sysfs): SnapshotDevice[] {
	const bus = sysfs.directory("bus/mdev/devices");
	if (bus === undefined) return [];
	return bus
		.list()
		.filter((name) => MDEV_UUID.test(name.toLowerCase()))
		.map((name) =>
			readWhole(
				() => bus.directory(name),
				(node) => readInstance(name.toLowerCase(), node),
			),
		)
		.filter((device) => device !== undefined);
}

function readInstance(id: string, node: Sysfs): SnapshotDevice | undefined {
	const typeNode = node.directory("mdev_type");
	// `<parent>/mdev_supported_types/<type>`; the kernel removes this link first when it removes an mdev.
	const [parent, group, type] = typeNode?.path.split("/").slice(-3) ?? [];
	if (typeNode === undefined || parent === undefined || type === undefined) return undefined;
	if (group !== "mdev_supported_types" || !PARENT_NAME.test(parent) || !TYPE_NAME.test(type)) return undefined;
	const inherited = collectType(type, typeNode);
	const { attributes, unreadable } = override(inherited, collectAttributes(node, namedBy(inherited)));
	return { id, kind: "mdev", parent, capacity: 1, attributes, unreadable };
}

function collectType(type: string, node: Sysfs): Collected {
	const { attributes, unreadable } = collectAttributes(node);
	return { attributes: { ...attributes, mdev_type: type }, unreadable };
}
