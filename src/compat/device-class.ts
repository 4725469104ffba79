import { attributeOf, type Device } from "./device.ts";
import { normalise } from "./normalise.ts";
import type { DeviceClass, Policy } from "./policy.ts";

/** The class of a device, and the policy for it: the class's rules in place of the general ones for the same attributes. */
export interface Classified {
	readonly device_class: DeviceClass | undefined;
	readonly policy: Policy;
	/** Attributes that cannot be read, and may make the device one of a class before its own. */
	readonly doubtful: readonly string[];
}

export function classify(device: Device, policy: Policy): Classified {
	const device_class = classOf(device, policy);
	const doubtful = doubtsAbout(device, policy, device_class);
	if (device_class === undefined) return { device_class, policy, doubtful };
	const replaced = new Set(device_class.rules.map(({ attribute }) => attribute));
	const general = policy.rules.filter(({ attribute }) => !replaced.has(attribute));
	return { device_class, policy: { ...policy, rules: [...general, ...device_class.rules] }, doubtful };
}

/** The first whose patterns fit. */
export function classOf(device: Device, policy: Policy): DeviceClass | undefined {
	return policy.classes.find(({ match }) => isOf(device, match));
}

function isOf(device: Device, match: DeviceClass["match"]): boolean {
	return Object.entries(match).every(([name, patterns]) => isLike(device, name, patterns));
}

function isLike(device: Device, name: string, patterns: readonly string[]): boolean {
	const value = name === "kind" ? device.kind : attributeOf(device, name);
	return value !== undefined && fitsOne(name, value, patterns);
}

/** What must be read to know that the device is of none of the classes before its own. */
function doubtsAbout(device: Device, { classes }: Policy, own: DeviceClass | undefined): readonly string[] {
	const hidden = Object.keys(device.unreadable);
	if (hidden.length === 0) return [];
	const earlier = own === undefined ? classes : classes.slice(0, classes.indexOf(own));
	const possible = earlier.filter(({ match }) =>
		Object.entries(match).every(([name, patterns]) => hidden.includes(name) || isLike(device, name, patterns)),
	);
	return hidden.filter((name) => possible.some(({ match }) => Object.hasOwn(match, name)));
}

/** Whether what is said of an attribute fits one of the patterns, an id in any spelling (specification 2.1). */
export function fitsOne(name: string, text: string, patterns: readonly string[]): boolean {
	const compared = normalise(name, text);
	return patterns.some((pattern) => fits(normalise(name, pattern), compared));
}

/** Whether a text fits a pattern in which `*` stands for any text, also none; everything else stands for itself. */
export function fits(pattern: string, text: string): boolean {
	// Most have none, and every device is compared with all of them.
	if (!pattern.includes("*")) return pattern === text;
	const [head = "", ...parts] = pattern.split("*");
	const tail = parts.pop() ?? "";
	if (!text.startsWith(head)) return false;
	let from = head.length;
	for (const part of parts) {
		const at = text.indexOf(part, from);
		if (at < 0) return false;
		from = at + part.length;
	}
	return text.length - tail.length >= from && text.endsWith(tail);
}
