import type { DeviceClass } from "../policy.ts";
import { VARIANT_DRIVER } from "./variant-driver.ts";

const DRIVER = { source: "drivers/vfio/pci/xe, Linux 6.19", date: "2026-08" } as const;
const PROFILE = { source: "sriov_admin/vf<N>/profile of the Xe driver", date: "2026-08" } as const;

const DESCRIPTOR = {
	source: "drivers/gpu/drm/xe/xe_sriov_packet.c, xe_sriov_packet_process_descriptor",
	date: "2026-11",
} as const;

const SHARES = {
	source: "drivers/gpu/drm/xe/xe_ggtt.c, xe_ggtt_node_load; xe_sriov_pf_provision.c",
	date: "2026-11",
} as const;

/**
 * VFs of Intel Xe GPUs; scheduling may differ between hosts, memory may not, nor may the VF's share of the GGTT. That follows from the
 * number of VFs unless somebody has set it, so a difference warns.
 */
export const xeVf: DeviceClass = {
	name: "xe-vf",
	match: { kind: ["pci"], driver: ["xe_vfio_pci", "xe-vfio-pci"] },
	migration: "known",
	...DRIVER,
	rules: [
		...VARIANT_DRIVER,
		{ attribute: "driver", kind: "equal", ...DRIVER },
		{ attribute: "device", kind: "equal", ...DESCRIPTOR },
		{ attribute: "revision", kind: "equal", ...DESCRIPTOR },
		{ attribute: "vram_quota", kind: "equal", ...PROFILE },
		{ attribute: "sriov_numvfs", kind: "equal", severity: "warning", ...SHARES },
		{ attribute: "exec_quantum_ms", kind: "info", ...PROFILE },
		{ attribute: "preempt_timeout_us", kind: "info", ...PROFILE },
		{ attribute: "sched_priority", kind: "info", ...PROFILE },
	],
};
