import type { DeviceClass } from "../policy.ts";

const CCW = {
	source: "Documentation/ABI/testing/sysfs-bus-css; openstack-discuss, Yan Zhao",
	date: "2020-09-09",
} as const;
const AP = { source: "Documentation/arch/s390/vfio-ap.rst", date: "2026-08" } as const;

/** Subchannels of s390: neither has the kernel a way to migrate their state, nor QEMU. The rules are what a replug on the target needs. */
export const vfioCcw: DeviceClass = {
	name: "vfio-ccw",
	match: { kind: ["mdev", "mdev_type"], mdev_type: ["vfio_ccw-*"] },
	refuse: {
		message:
			"QEMU does not migrate a guest with vfio-ccw devices (hw/vfio/ccw.c); unplug the device before the migration " +
			"and plug it in again after it",
	},
	...CCW,
	rules: [
		{ attribute: "subchannel_type", kind: "equal", ...CCW },
		{ attribute: "chpid_type", kind: "equal", ...CCW },
	],
};

/** Crypto adapters of s390. The rules are what a replug on the target needs. */
export const vfioAp: DeviceClass = {
	name: "vfio-ap",
	match: { kind: ["mdev", "mdev_type"], mdev_type: ["vfio_ap-*"] },
	refuse: {
		message:
			"the kernel does not support live migration of a guest with vfio-ap devices (vfio-ap.rst); " +
			"unplug the device before the migration and plug it in again after it",
	},
	...AP,
	rules: [
		{ attribute: "matrix", kind: "superset", compare: "exact", ...AP },
		{ attribute: "hwtype", kind: "equal", ...AP },
	],
};
