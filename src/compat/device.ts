/** Attribute text by name, exactly as the host gave it; formats and rules interpret it. */
export type Attributes = Readonly<Record<string, string>>;

/**
 * What kind of thing a device is, in the kernel's words: a PCI function, an mdev, an mdev type (a directory of
 * `mdev_supported_types`, from which mdevs are created), or a device of the vdpa bus.
 */
export const DEVICE_KINDS = ["pci", "mdev", "mdev_type", "vdpa"] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

export interface Device {
	/** PCI address (`0000:3b:00.2`), mdev uuid, `<parent address>/<type id>`, or the name on the vdpa bus. */
	readonly id: string;
	readonly kind: DeviceKind;
	readonly attributes: Attributes;
	/** Attributes that exist but could not be read: errno name (`EIO`) by attribute name. */
	readonly unreadable: Readonly<Record<string, string>>;
}

/** What a device can land on: another device (capacity 1) or an mdev type (capacity `available_instances`). */
export interface Candidate extends Device {
	readonly capacity: number;
}

/** Attribute names come from hosts: only own properties count, or `constructor` would be an attribute of every device. */
export function attributeOf({ attributes }: Device, attribute: string): string | undefined {
	return Object.hasOwn(attributes, attribute) ? attributes[attribute] : undefined;
}

export function errnoOf({ unreadable }: Device, attribute: string): string | undefined {
	return Object.hasOwn(unreadable, attribute) ? unreadable[attribute] : undefined;
}
