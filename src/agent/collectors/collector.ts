import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import type { Findings } from "../findings.ts";
import type { Sysfs } from "../sysfs.ts";
import type { Told } from "../tools.ts";

/** The compute node that is looked at. */
export interface Host {
	readonly sysfs: Sysfs;
	/** Of the same host; undefined where it is not known. */
	readonly proc: Sysfs | undefined;
	readonly told: Told;
}

/** A device that the kernel lists, while it is being read. */
export interface Draft {
	readonly id: string;
	readonly kind: SnapshotDevice["kind"];
	readonly parent: string | undefined;
	/** What every device of its kind has, already; to add to. */
	readonly found: Findings;
}

/** Lists the devices of one kind. */
export type Collector = (host: Host) => SnapshotDevice[];

/**
 * What one class of devices has beside what every PCI function or mdev has: prepares for a scan (reads what a program said),
 * then adds to each device of its class, and leaves the others alone. `node` is the device's directory.
 */
export type ClassCollector = (host: Host) => (device: Draft, node: Sysfs) => void;

/** Whether the device is bound to a driver; both `_` and `-` occur in driver names. */
export function hasDriver({ found }: Draft, driver: string): boolean {
	return found.attributes["driver"]?.replaceAll("-", "_") === driver;
}

/** The directory of the PF that a VF belongs to. */
export function physicalFunction({ sysfs }: Host, { parent }: Draft): Sysfs | undefined {
	return parent === undefined ? undefined : sysfs.directory(`bus/pci/devices/${parent}`);
}
