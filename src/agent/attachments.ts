import { PCI_ADDRESS } from "./collectors/pci.ts";
import type { DomainDevice, GuestDevice } from "./libvirt.ts";
import type { Sysfs } from "./sysfs.ts";

const VHOST_VDPA = /^\/dev\/(vhost-vdpa-\d{1,9})$/;

const NETWORK_INTERFACE = /^(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}$/;

/** Who has a device of this host. */
export interface Attachment {
	/** Uuid of the domain, which Nova makes equal to the uuid of the instance. */
	readonly instance: string;
	readonly kind: "pci" | "mdev";
	/** In use, but not among what must continue: Nova unplugs it before the migration, or moves what is in front of it. */
	readonly port: boolean;
	readonly guest: GuestDevice;
}

/**
 * Who has what, by id in the snapshot; of several instances that keep a device all, because nobody knows which one has it.
 * libvirt names a vDPA device by its character device and a macvtap by the network interface below it: what is taken is the
 * function that they are made of, and the vDPA device itself.
 */
export function attachmentsOf(
	domains: ReadonlyMap<string, readonly DomainDevice[]>,
	sysfs: Sysfs,
): ReadonlyMap<string, readonly Attachment[]> {
	const found = new Map<string, readonly Attachment[]>();
	for (const [instance, devices] of domains) {
		for (const device of devices) {
			const kind = device.kind === "mdev" ? "mdev" : "pci";
			for (const id of idsOf(device, sysfs)) {
				const before = found.get(id) ?? [];
				// Many ports may stand on one function; should somebody keep it beside them, it must continue.
				if (device.port && before.length > 0) continue;
				const others = before.filter((one) => !one.port && one.instance !== instance);
				found.set(id, [...others, { instance, kind, port: device.port, guest: device.guest }]);
			}
		}
	}
	return found;
}

function idsOf({ kind, source }: DomainDevice, sysfs: Sysfs): readonly string[] {
	if (kind === "vdpa") return vdpaIds(source, sysfs);
	if (kind !== "direct") return [source];
	const node = NETWORK_INTERFACE.test(source) ? sysfs.directory(`class/net/${source}`) : undefined;
	return functionsAbove(node);
}

/** drivers/vhost/vdpa.c makes `vhost-vdpa-<n>` a child of the vDPA device. */
function vdpaIds(source: string, sysfs: Sysfs): readonly string[] {
	const [, character] = VHOST_VDPA.exec(source) ?? [];
	if (character === undefined) return [];
	const bus = sysfs.directory("bus/vdpa/devices");
	const name = bus?.list().find((device) => bus.directory(device)?.list().includes(character));
	return name === undefined ? [] : [name, ...functionsAbove(bus?.directory(name))];
}

/** The PCI function nearest to a directory below it; an auxiliary or virtio device may stand in between. */
function functionsAbove(node: Sysfs | undefined): readonly string[] {
	const address = node?.path.split("/").findLast((name) => PCI_ADDRESS.test(name));
	return address === undefined ? [] : [address];
}
