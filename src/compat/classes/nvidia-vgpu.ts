import type { DeviceClass, Rule } from "../policy.ts";

const LIVE_MIGRATION = {
	source: "docs.nvidia.com/ai-enterprise/release-8/latest/infra-software/vgpu/features/live-migration.html",
	date: "2026-08",
} as const;
const NVML = { source: "NVIDIA NVML, nvmlVgpuVersion_t and nvmlGetVgpuCompatibility", date: "2026-08" } as const;
const VEP_109 = { source: "KubeVirt VEP 109, citing the vGPU release notes for RHEL KVM", date: "2026-08" } as const;

/** What both kinds of vGPU have in common. Versions of the vGPU manager: one driver branch is one major version. */
const COMMON: readonly Rule[] = [
	{ attribute: "driver_version", kind: "version", compare: "major", ...VEP_109 },
	{ attribute: "ecc_mode", kind: "equal", ...VEP_109 },
	{ attribute: "mig_mode", kind: "equal", ...LIVE_MIGRATION },
	{ attribute: "guest_vgpu_version", kind: "in_range", range: "host_supported_vgpu_range", ...NVML },
];

/** Nova makes the target's vGPU without parameters of the plugin, or takes one that has its own. */
const PARAMETERS: Rule = { attribute: "vgpu_params", kind: "info", ...LIVE_MIGRATION };

/**
 * NVIDIA vGPUs, mdevs and VFs alike, with features of CUDA that NVIDIA does not migrate. The rule is for those that have a
 * declaration, as an overlay for all vGPUs of a driver gives one: it cannot be meant for these.
 */
export const nvidiaVgpuCuda: DeviceClass = {
	name: "nvidia-vgpu-cuda",
	match: { vgpu_params: ["*enable_uvm=1*", "*enable_debugging=1*", "*enable_profiling=1*"] },
	refuse: {
		message:
			"NVIDIA does not migrate a vGPU with CUDA unified memory, debuggers or profilers: its vgpu_params must be without " +
			"enable_uvm=1, enable_debugging=1 and enable_profiling=1 when the instance is started",
	},
	...LIVE_MIGRATION,
	rules: [...COMMON, { attribute: "vgpu_params", kind: "one_of", values: ["none"], ...LIVE_MIGRATION }],
};

/** NVIDIA vGPUs as mdevs. A numeric type id may mean something else on another board, so the board is compared too. */
export const nvidiaVgpuMdev: DeviceClass = {
	name: "nvidia-vgpu-mdev",
	match: { kind: ["mdev", "mdev_type"], mdev_type: ["nvidia-*"] },
	migration: "known",
	source: "docs.openstack.org/nova/latest/admin/virtual-gpu.html",
	date: "2026-08",
	rules: [
		{
			attribute: "mdev_type",
			kind: "equal",
			source: "docs.openstack.org/nova/latest/admin/virtual-gpu.html",
			date: "2026-08",
		},
		{ attribute: "parent_vendor", kind: "equal", ...LIVE_MIGRATION },
		{ attribute: "parent_device", kind: "equal", ...LIVE_MIGRATION },
		{ attribute: "parent_subsystem_vendor", kind: "info", ...LIVE_MIGRATION },
		{ attribute: "parent_subsystem_device", kind: "equal", ...LIVE_MIGRATION },
		...COMMON,
		PARAMETERS,
	],
};

/** NVIDIA vGPUs as VFs with vendor-specific VFIO: vGPU 17 and later on Ubuntu 24.04 and RHEL 10. */
export const nvidiaVgpuVf: DeviceClass = {
	name: "nvidia-vgpu-vf",
	match: { kind: ["pci"], vendor: ["10de"], vgpu_type: ["*"] },
	migration: "known",
	source: "docs.openstack.org/nova/latest/admin/virtual-gpu.html",
	date: "2026-08",
	rules: [
		{
			attribute: "vgpu_type",
			kind: "one_of",
			settable: "creatable_vgpu_types",
			source: "NVIDIA vgpu-device-manager, /sys/bus/pci/devices/<VF>/nvidia",
			date: "2026-08",
		},
		{ attribute: "subsystem_device", kind: "equal", ...LIVE_MIGRATION },
		...COMMON,
		PARAMETERS,
	],
};
