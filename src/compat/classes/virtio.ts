import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DRIVER = { source: "drivers/vfio/pci/virtio, Linux 6.13", date: "2026-08" } as const;
const VDPA = { source: "vdpa(8) of iproute2, include/uapi/linux/vdpa.h", date: "2026-08" } as const;

/** VFs that speak virtio. Their features are not in sysfs while vfio has them: an overlay or a collector gives them. */
export const virtioVf: DeviceClass = {
	name: "virtio-vf",
	match: { kind: ["pci"], driver: ["virtio_vfio_pci", "virtio-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DRIVER },
		{ attribute: "device_features", kind: "mask_superset", ...DRIVER },
		{ attribute: "features", kind: "superset", source: "openstack-discuss, Jason Wang", date: "2020-08-19" },
	],
};

/** vDPA devices. Nova unplugs those that are Neutron ports; one that stays must declare itself, or is unknown. */
export const vdpa: DeviceClass = {
	name: "vdpa",
	match: { driver: ["vhost_vdpa", "vhost-vdpa"] },
	...VDPA,
	rules: [
		{ attribute: "negotiated_features", kind: "superset", target: "dev_features", ...VDPA },
		{ attribute: "max_vqs", kind: "in_range", max: "max_supported_vqs", ...VDPA },
	],
};
