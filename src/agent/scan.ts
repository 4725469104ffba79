import { DEVICE_KINDS } from "../compat/device.ts";
import { MAX_ATTRIBUTES, MAX_DEVICES } from "../snapshot/limits.ts";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { type Attachment, attachmentsOf } from "./attachments.ts";
import type { Collector } from "./collectors/collector.ts";
import { collectMdev } from "./collectors/mdev.ts";
import { collectPci } from "./collectors/pci.ts";
import { collectVdpa } from "./collectors/vdpa.ts";
import { type Domains, readDefinitions, readDomains } from "./libvirt.ts";
import { applyOverlays, type Overlay } from "./overlay.ts";
import { readOverlays } from "./overlay-file.ts";
import { DEFAULT_LIBVIRT_DIR } from "./places.ts";
import { type Dropped, openProc, openSysfs, type ScanWatch, SysfsError } from "./sysfs.ts";
import { askHost, type Told } from "./tools.ts";

/** Of the documents written here. The type is in snapshot/; its checks are for readers, and need a package. */
export const SNAPSHOT_SCHEMA_VERSION = "1.3";

/** One per kind of device; what a class of devices has beside is in the table of collectors/classes.ts. */
const COLLECTORS: readonly Collector[] = [collectPci, collectMdev, collectVdpa];

/** What shows that a device of a kind is there, and so what is missing from one that libvirt names and sysfs does not. */
const IDENTITY = { pci: ["vendor", "device"], mdev: ["mdev_type"], vdpa: ["driver"] } as const;

const TYPES = "mdev_supported_types";

interface Place {
	/** Nova host name, not the DNS name of the machine. */
	readonly host: string;
	readonly sysfsRoot: string;
	readonly libvirtDir?: string;
	/** Where the definitions of domains are; left out, the devices of those that are shut off look free. */
	readonly libvirtConfigDir?: string;
}

/** A host, and where it is looked at. */
export interface HostPlaces extends Place {
	/** Where overlays are; left out, nothing is added to what the host says. */
	readonly overlayDir?: string;
}

/** ... and what is known before. */
export interface ScanOptions extends Place {
	readonly overlays?: readonly Overlay[];
	/** What `askHost` has learnt of the same host; left out, sysfs is all there is. */
	readonly told?: Told;
	readonly watch?: ScanWatch;
}

/**
 * Asks the programs of the host, unless that was done, reads the overlays, and looks at the host.
 * @throws {SysfsError} | {LibvirtError} | {OverlayError} when no complete answer is possible
 */
export async function scanHost(
	{ overlayDir, ...place }: HostPlaces,
	known: Pick<ScanOptions, "told" | "watch"> = {},
): Promise<Snapshot> {
	const told = known.told ?? (await askHost(place.sysfsRoot));
	const overlays = overlayDir === undefined ? [] : await readOverlays(overlayDir);
	return takeSnapshot({ ...place, ...known, told, overlays });
}

/**
 * Looks at the host now: what `GET /v1/snapshot` answers, without what only a running agent knows. Two scans of an unchanged host
 * are equal, byte for byte when printed.
 * @throws {SysfsError} | {LibvirtError} when no complete answer is possible
 */
export function takeSnapshot(options: ScanOptions): Snapshot {
	const { host, sysfsRoot, libvirtDir = DEFAULT_LIBVIRT_DIR, libvirtConfigDir } = options;
	const { overlays = [], told = {}, watch } = options;
	const sysfs = openSysfs(sysfsRoot, watch);
	const proc = openProc(sysfsRoot, watch);
	const domains = readDomains(libvirtDir);
	const attachments = attachmentsOf(domains, sysfs);
	const reservations = attachmentsOf(shutOffDomains(libvirtConfigDir, domains), sysfs);
	const scanned = COLLECTORS.flatMap((collector) => collector({ sysfs, proc, told }));
	const { devices: overlaid } = applyOverlays(scanned, overlays);
	const [kept, excessive] = [overlaid.filter(isWithinLimits), overlaid.filter((device) => !isWithinLimits(device))];
	const ids = new Set(kept.map((device) => device.id));
	const missing = [...attachments]
		.filter(([id]) => !ids.has(id))
		.flatMap(([id, all]) => all.filter(({ port }) => !port).map((one) => attach(unseenDevice(id, one), one)));
	const used = kept.flatMap((device) => {
		const owners = attachments.get(device.id) ?? reservations.get(device.id)?.slice(0, 1);
		return owners?.map((one) => attach(device, one)) ?? [device];
	});
	const devices = [...used, ...missing];
	if (devices.length > MAX_DEVICES) throw new SysfsError(tooMany(devices));
	const dropped = [...sysfs.dropped.map(droppedDevice), ...excessive.map(excessiveDevice)];
	return {
		schema_version: SNAPSHOT_SCHEMA_VERSION,
		host,
		...(dropped.length > 0 && { dropped }),
		instances: [...domains.keys()].sort(),
		devices: devices.sort(byKindThenId),
	};
}

function tooMany(devices: readonly SnapshotDevice[]): string {
	const counts = DEVICE_KINDS.map((kind) => [devices.filter((device) => device.kind === kind).length, kind] as const);
	const told = counts.filter(([count]) => count > 0).map((count) => count.join(" "));
	return `${devices.length} devices (${told.join(", ")}), of which a service takes ${MAX_DEVICES} at most: the host needs fewer VFs, each of which may offer many types`;
}

/** Nova keeps the devices of an instance that is shut off for it; of one that runs, only its status says what it has. */
function shutOffDomains(directory: string | undefined, running: Domains): Domains {
	if (directory === undefined) return new Map();
	return new Map([...readDefinitions(directory)].filter(([instance]) => !running.has(instance)));
}

function isWithinLimits(device: SnapshotDevice): boolean {
	return countOf(device) <= MAX_ATTRIBUTES;
}

function excessiveDevice(device: SnapshotDevice): { id: string; reason: string } {
	return { id: device.id, reason: `it has ${countOf(device)} attributes, at most ${MAX_ATTRIBUTES} can be told` };
}

function countOf({ attributes, unreadable }: SnapshotDevice): number {
	return Math.max(Object.keys(attributes).length, Object.keys(unreadable).length);
}

function droppedDevice({ path, reason }: Dropped): { id: string; reason: string } {
	const [parent, group, name = ""] = path.split("/").slice(-3);
	if (name === TYPES) return { id: `${group}/${name}`, reason };
	return { id: group === TYPES ? `${parent}/${name}` : name, reason };
}

function attach(device: SnapshotDevice, { instance, port, guest }: Attachment): SnapshotDevice {
	return { ...device, instance, ...(port && { port }), ...guest };
}

/** An instance has it, so it must continue: leaving it out would let the instance pass as one without devices. */
function unseenDevice(id: string, { kind }: Attachment): SnapshotDevice {
	const unreadable = Object.fromEntries(IDENTITY[kind].map((name) => [name, "ENODEV"]));
	return { id, kind, capacity: 1, attributes: {}, unreadable };
}

function byKindThenId(a: SnapshotDevice, b: SnapshotDevice): number {
	const order: readonly string[] = DEVICE_KINDS;
	const kinds = order.indexOf(a.kind) - order.indexOf(b.kind);
	if (kinds !== 0) return kinds;
	return a.id < b.id ? -1 : Number(a.id > b.id);
}
