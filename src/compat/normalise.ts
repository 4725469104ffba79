import type { Attributes, Device } from "./device.ts";
import { once } from "./once.ts";

/** Ids that are hexadecimal: case and a leading `0x` mean nothing (specification 2.1, D18). */
const HEX = new Set([
	"vendor",
	"device",
	"subsystem_vendor",
	"subsystem_device",
	"class",
	"revision",
	"device_id",
	"pci_id",
	"pci_ids",
	"pciid",
	"parent_vendor",
	"parent_device",
	"parent_subsystem_vendor",
	"parent_subsystem_device",
]);
/** Names in which `_` and `-` are the same: the mails and the kernel have both `vfio_pci` and `vfio-pci`. */
const DASHED = new Set(["device_api"]);

export function isHexadecimal(attribute: string): boolean {
	return HEX.has(attribute);
}

/** A value as it is compared: two spellings of one thing become one text. */
export function normalise(attribute: string, value: string): string {
	if (isHexadecimal(attribute)) return value.trim().toLowerCase().replace(/^0x/, "");
	return DASHED.has(attribute) ? value.trim().replaceAll("_", "-") : value;
}

/** Whether one of the texts is the value, in whatever spelling; blanks around either mean nothing. */
export function isAmong(attribute: string, value: string, texts: readonly string[]): boolean {
	const wanted = normalise(attribute, value.trim());
	return texts.some((text) => normalise(attribute, text.trim()) === wanted);
}

/** What the lines of a `uevent` file say, as attributes; PCI class and ids as the files beside it have them. */
const UEVENT: ReadonlyMap<string, readonly string[]> = new Map([
	["DRIVER", ["driver"]],
	["PCI_CLASS", ["class"]],
	["PCI_ID", ["vendor", "device"]],
	["PCI_SUBSYS_ID", ["subsystem_vendor", "subsystem_device"]],
]);

/**
 * Takes attributes from the lines of a `uevent` file (quoted in the thread on 19 August 2020); an attribute that has a file
 * of its own is not touched. `uevent` itself is dropped: its other lines are places, and differ always.
 */
export function expandUevent<T extends Device>(device: T): T {
	// Whatever else the device has is left as it is.
	return expanded(device) as T;
}

const expanded = once((device: Device): Device => {
	const { uevent, ...others } = device.attributes as Attributes & { readonly uevent?: string };
	if (uevent === undefined) return device;
	const found = uevent.split("\n").flatMap((line): readonly (readonly [string, string])[] => {
		const [, key = "", value = ""] = /^([A-Z_]+)=(.*)$/.exec(line.trim()) ?? [];
		const names = UEVENT.get(key) ?? [];
		const values = names.length === 2 ? value.split(":") : [value];
		// The line has no leading zero (30000), the file beside it has (0x030000).
		return names.map((name, index) => [
			name,
			(values[index] ?? "").toLowerCase().padStart(name === "class" ? 6 : 0, "0"),
		]);
	});
	return { ...device, attributes: { ...Object.fromEntries(found), ...others } };
});
