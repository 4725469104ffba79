import type { DeviceClass } from "../policy.ts";

/** Intel GVT-g. The thread's samples are of it, but the driver never got migration upstream. */
export const gvtG: DeviceClass = {
	name: "gvt-g",
	match: { kind: ["mdev", "mdev_type"], mdev_type: ["i915-GVTg_*"] },
	refuse: {
		message:
			"i915 GVT-g cannot migrate: no kernel release has migration for it; detach the device before the migration, " +
			"or declare with migration_compatible what a driver that has it accepts",
	},
	source: "github.com/intel/gvt-linux issue 209; drivers/gpu/drm/i915/gvt",
	date: "2026-08",
	rules: [
		{ attribute: "mdev_type", kind: "equal", source: "Documentation/ABI/testing/sysfs-bus-vfio-mdev", date: "2026-08" },
		{ attribute: "parent_device", kind: "equal", source: "github.com/mdevctl/mdevctl README", date: "2026-08" },
	],
};
