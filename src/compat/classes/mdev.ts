import type { DeviceClass } from "../policy.ts";

const ABI = { source: "Documentation/ABI/testing/sysfs-bus-vfio-mdev", date: "2026-08" } as const;

/** Any other mdev: the same type offers the same, and only a declaration says more. Cornelia Huck, 4 August 2020. */
export const anyMdev: DeviceClass = {
	name: "mdev",
	match: { kind: ["mdev", "mdev_type"] },
	...ABI,
	rules: [
		{ attribute: "device_api", kind: "equal", ...ABI },
		{ attribute: "mdev_type", kind: "equal", ...ABI },
	],
};
