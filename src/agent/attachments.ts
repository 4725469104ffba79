import { readlinkSync } from "node:fs";
import { posix } from "node:path";
import { attempt } from "./bounded-file.ts";
import { functionAbove } from "./collectors/pci.ts";
import type { DomainDevice, Domains, GuestDevice } from "./libvirt.ts";
import type { Sysfs } from "./sysfs.ts";

const VHOST_VDPA = /^\/dev\/(vhost-vdpa-\d{1,9})$/;

const NETWORK_INTERFACE = /^(?!\.{1,2}$)[A-Za-z0-9_.:@-]{1,15}$/;

/** Who has a device of this host. */
export interface Attachment {
	/** Uuid of the domain, which Nova makes equal to the uuid of the instance. */
	readonly instance: string;
	readonly kind: "pci" | "mdev" | "vdpa";
	/** In use, but not among what must continue: Nova or QEMU unplugs it before the migration, or moves what is in front of it, or no guest sees it. */
	readonly port: boolean;
	readonly guest: GuestDevice;
}

/**
 * Who has what, by id in the snapshot; of several instances that keep a device all, because nobody knows which one has it.
 * libvirt names a vDPA device by its character device and a macvtap by the network interface below it: what is taken is the
 * function that they are made of, and the vDPA device itself.
 */
export function attachmentsOf(domains: Domains, sysfs: Sysfs): ReadonlyMap<string, readonly Attachment[]> {
	const found = new Map<string, readonly Attachment[]>();
	for (const [instance, devices] of domains) {
		for (const device of devices) {
			for (const { id, kind, port } of takenBy(device, sysfs)) {
				const before = found.get(id) ?? [];
				// Many ports may stand on one function; should somebody keep it beside them, it must continue.
				if (port && before.length > 0) continue;
				const others = before.filter((one) => !one.port && one.instance !== instance);
				found.set(id, [...others, { instance, kind, port, guest: device.guest }]);
			}
		}
	}
	return found;
}

type Taken = Pick<Attachment, "kind" | "port"> & { readonly id: string };

function takenBy({ kind, source, port }: DomainDevice, sysfs: Sysfs): readonly Taken[] {
	if (kind === "vdpa") return vdpaTaken(source, port, sysfs);
	if (kind !== "direct") return [{ id: source, kind, port }];
	const node = NETWORK_INTERFACE.test(source) ? sysfs.directory(`class/net/${source}`) : undefined;
	return functionsAbove(node).map((id) => ({ id, kind: "pci", port }));
}

/**
 * drivers/vhost/vdpa.c makes `vhost-vdpa-<n>` a child of the vDPA device. One that must continue does so on any function that has
 * another, so its own need not; where it is not found, it is told by the name of its character device.
 */
function vdpaTaken(source: string, port: boolean, sysfs: Sysfs): readonly Taken[] {
	const [, character = ""] = VHOST_VDPA.exec(nodeOf(source)) ?? [];
	const bus = sysfs.directory("bus/vdpa/devices");
	const name = bus?.list().find((device) => bus.directory(device)?.list().includes(character));
	if (name === undefined) return port ? [] : [{ id: posix.basename(source), kind: "vdpa", port }];
	const functions = functionsAbove(bus?.directory(name));
	return [{ id: name, kind: "vdpa", port }, ...functions.map((id) => ({ id, kind: "pci", port: true }) as const)];
}

/** udev may have given it other names, each a link to it; what the link names is a key, and not opened. */
function nodeOf(path: string): string {
	const target = attempt(() => readlinkSync(path));
	return typeof target === "string" ? posix.resolve(posix.dirname(path), target) : path;
}

function functionsAbove(node: Sysfs | undefined): readonly string[] {
	const address = node && functionAbove(node);
	return address === undefined ? [] : [address];
}
