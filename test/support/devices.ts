import type { Candidate } from "../../src/compat/device.ts";

/** An mdev whose identity is the same as every other one's, so that a test names only what it is about. */
export function mdev(
	id: string,
	attributes: Readonly<Record<string, string>>,
	rest: Partial<Candidate> = {},
): Candidate {
	return {
		id,
		kind: "mdev",
		capacity: 1,
		attributes: { device_api: "vfio-pci", mdev_type: "vendor-type", ...attributes },
		unreadable: {},
		...rest,
	};
}

/** A PCI function with exactly these attributes. */
export function pci(
	id: string,
	attributes: Readonly<Record<string, string>>,
	rest: Partial<Candidate> = {},
): Candidate {
	return { id, kind: "pci", capacity: 1, attributes, unreadable: {}, ...rest };
}
