/** Attribute text by name, exactly as the host gave it; formats and rules interpret it. */
export type Attributes = Readonly<Record<string, string>>;

/**
 * What kind of thing a device is, in the kernel's words: a PCI function, an mdev, an mdev type (a directory of
 * `mdev_supported_types`, from which mdevs are created), or a device of the vdpa bus.
 */
export const DEVICE_KINDS = ["pci", "mdev", "mdev_type", "vdpa"] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** A newer agent may tell of devices of another kind. They land nowhere, and nothing lands on them. */
export function isKnownKind(kind: string): kind is DeviceKind {
	return DEVICE_KINDS.some((known) => known === kind);
}

/** What an id looks like: PCI address, name of an mdev (its uuid) or on the vdpa bus, `<parent>/<type id>`. */
const DEVICE_IDS = [
	/^[0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]$/,
	/^(?!\.)[A-Za-z0-9_.-]{1,64}$/,
	/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\/[A-Za-z0-9][A-Za-z0-9_.+-]{0,127}$/,
];

/** Whether a text can be the id of a device. It is a key into what has been scanned, whoever it is from, and no part of a path. */
export function isDeviceId(text: string): boolean {
	return DEVICE_IDS.some((grammar) => grammar.test(text));
}

export const DEVICE_ID_FORMS =
	"a PCI address (0000:3b:10.2), the uuid of an mdev, the name of a vdpa device or <parent>/<mdev type>";

export interface Device {
	/** PCI address (`0000:3b:00.2`), mdev uuid, `<parent address>/<type id>`, or the name on the vdpa bus. */
	readonly id: string;
	/** A DeviceKind, or one that is not known here. */
	readonly kind: string;
	readonly attributes: Attributes;
	/** Attributes that exist but could not be read: errno name (`EIO`) by attribute name. */
	readonly unreadable: Readonly<Record<string, string>>;
	/** Attributes that the host does not have of itself: by name, the overlay file that added it, its source and date. */
	readonly overlaid?: Readonly<Record<string, string>> | undefined;
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

/** Whether the device has the attribute, be it one that it cannot show. */
export function hasAttribute(device: Device, attribute: string): boolean {
	return attributeOf(device, attribute) !== undefined || errnoOf(device, attribute) !== undefined;
}

/** Whether the device says anything by the attribute: a file that is there and empty declares nothing. */
export function says(device: Device, attribute: string): boolean {
	return errnoOf(device, attribute) !== undefined || (attributeOf(device, attribute) ?? "").trim() !== "";
}

/** Which overlay gave the device one of the attributes, the first one that was overlaid. */
export function overlayOf({ overlaid = {} }: Device, attributes: readonly string[]): string | undefined {
	const name = attributes.find((attribute) => Object.hasOwn(overlaid, attribute));
	return name === undefined ? undefined : overlaid[name];
}
