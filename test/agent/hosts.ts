import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
	type Files,
	link,
	type PciFunction,
	populateMdev,
	populateMdevType,
	populateModule,
	populatePci,
	populateVdpa,
	resourceFile,
	writeFiles,
} from "../support/sysfs.ts";

/** A compute node with devices of one class, as the class's ABI document (named in its collector) lays them out. */
export interface ClassHost {
	/** Populates the sysfs root, and what stands beside it. */
	readonly populate: (root: string) => void;
	/** What its programs print, by name and first words of what they are asked. */
	readonly programs?: Readonly<Partial<Record<"devlink" | "vdpa" | "nvidia-smi", string>>>;
}

/** A PF with VFs behind one root port; returns the directories, the PF's first. */
export function populateSriov(
	root: string,
	pf: PciFunction,
	vfs: readonly PciFunction[],
): readonly [string, ...string[]] {
	const { below = `pci${pf.address.slice(0, 7)}` } = pf;
	const files = { sriov_numvfs: `${vfs.length}`, sriov_totalvfs: "64", numa_node: "1", driver_override: "(null)" };
	const node = populatePci(root, { ...pf, below, files: { ...files, ...pf.files } });
	const nodes = vfs.map((vf, index) => {
		const made = populatePci(root, { ...vf, below, physfn: pf.address, files: { numa_node: "1", ...vf.files } });
		link(join(node, `virtfn${index}`), made);
		return made;
	});
	return [node, ...nodes];
}

/** What vfio makes of a function that a driver of its own has bound; `migration`, the files that its debugfs has. */
export function populateVfio(root: string, node: string, number: number, migration?: Files): void {
	writeFiles(join(node, `vfio-dev/vfio${number}`), { dev: `511:${number}` });
	const group = join(root, "kernel/iommu_groups", `${60 + number}`);
	mkdirSync(group, { recursive: true });
	link(join(node, "iommu_group"), group);
	const address = node.slice(node.lastIndexOf("/") + 1);
	if (migration !== undefined) writeFiles(join(root, "kernel/debug/vfio", address, "migration"), migration);
}

export const PRE_COPY = { state: "RUNNING", features: "stop-copy\np2p\npre-copy\ndirty-tracking" };

/** A board before Ampere: from that on the types are those of VFs. */
function nvidiaMdev(root: string): void {
	const board = populatePci(root, {
		address: "0000:41:00.0",
		below: "pci0000:40/0000:40:01.1",
		vendor: "10de",
		device: "1eb8",
		subsystem_vendor: "10de",
		subsystem_device: "12a2",
		class: "030200",
		revision: "a1",
		driver: "nvidia",
		files: { numa_node: "0" },
	});
	populateModule(root, "nvidia", { module: "nvidia", version: "550.90.05" });
	populateNvidiaProc(root, "0000:41:00.0", "N/A");
	const description = "num_heads=4, frl_config=60, framebuffer=4096M, max_resolution=7680x4320, max_instance=4";
	const type = populateMdevType(root, board, {
		type: "nvidia-232",
		available_instances: "3",
		files: { name: "GRID T4-4Q", description },
	});
	const files = { "nvidia/vgpu_params": "frame_rate_limiter=0, disable_vnc=1" };
	populateMdev(root, type, { uuid: "b1a3c5d2-0f47-4c8e-9a61-2d7e4f90b301", files });
}

/** The driver's file about a board, in /proc of the same host (kernel-open/nvidia/nv-procfs.c). */
export function populateNvidiaProc(root: string, board: string, firmware: string, model = "Tesla T4"): void {
	const lines = [
		`Model: \t\t ${model}`,
		"GPU UUID: \t GPU-????????-????-????-????-????????????",
		`Bus Location: \t ${board}`,
		`GPU Firmware: \t ${firmware}`,
		"GPU Excluded:\t No",
	];
	writeFiles(join(root, "../proc/driver/nvidia/gpus", board), { information: lines.join("\n") });
}

function nvidiaVfs(root: string): void {
	const board = { vendor: "10de", device: "2335", subsystem_vendor: "10de", subsystem_device: "18be", class: "030200" };
	const types = "ID    : vGPU Name\n1428  : NVIDIA H200X-141C\n1414  : NVIDIA H200X-1-18C";
	const nvidia = (current: string, creatable: string) => ({
		"nvidia/current_vgpu_type": current,
		"nvidia/creatable_vgpu_types": creatable,
		"nvidia/vgpu_params": " ",
	});
	const [, ...vfs] = populateSriov(root, { ...board, address: "0000:41:00.0", driver: "nvidia" }, [
		{ ...board, address: "0000:41:00.4", driver: "nvidia", files: nvidia("1414", "") },
		{ ...board, address: "0000:41:00.5", driver: "nvidia", files: nvidia("0", types) },
	]);
	for (const [index, vf] of vfs.entries()) populateVfio(root, vf, index);
	populateModule(root, "nvidia", { module: "nvidia", version: "580.65.06" });
	populateNvidiaProc(root, "0000:41:00.0", "580.65.06", "NVIDIA H200");
}

function nvidiaCuda(root: string): void {
	nvidiaVfs(root);
	const params = { "nvidia/vgpu_params": "enable_uvm=1 enable_profiling=1" };
	writeFiles(join(root, "devices/pci0000:41/0000:41:00.4"), params);
}

function mlx5(root: string): void {
	const board = { vendor: "15b3", subsystem_vendor: "15b3", subsystem_device: "0040", class: "020000" };
	const [, ...vfs] = populateSriov(
		root,
		{ ...board, address: "0000:06:00.0", device: "101d", driver: "mlx5_core", files: { sriov_vf_device: "101e" } },
		["0000:06:00.2", "0000:06:00.3", "0000:06:00.4"].map((address) => ({
			...board,
			address,
			device: "101e",
			driver: "mlx5_vfio_pci",
			files: { driver_override: "mlx5_vfio_pci", resource: resourceFile(2 ** 20) },
		})),
	);
	for (const [index, vf] of vfs.entries()) populateVfio(root, vf, index, index === 2 ? undefined : PRE_COPY);
	populateModule(root, "mlx5_vfio_pci", { module: "mlx5_vfio_pci" });
	writeFiles(join(root, "module/mlx5_vfio_pci"), { srcversion: "6A1F1D2B9E0C4D7F83B5A27" });
}

/** Two VFs may migrate, the third may not; another controller has a VF of the same number. */
const MLX5_PORTS = JSON.stringify({
	port: {
		"pci/0000:06:00.0/65535": { type: "eth", netdev: "enp6s0np0", flavour: "physical", port: 0, splittable: false },
		"pci/0000:06:00.0/1": pcivf(0, { migratable: "enable", roce: "enable", ipsec_crypto: "disable", max_io_eqs: 10 }),
		"pci/0000:06:00.0/2": pcivf(1, { migratable: "enable", roce: "disable", ipsec_crypto: "disable", max_io_eqs: 10 }),
		"pci/0000:06:00.0/3": pcivf(2, { migratable: "disable", roce: "enable", ipsec_crypto: "disable", max_io_eqs: 10 }),
		"pci/0000:06:00.0/32769": { ...pcivf(0, { migratable: "disable" }), controller: 1, external: true },
	},
});

function pcivf(vfnum: number, capabilities: object) {
	const port = { type: "eth", netdev: `enp6s0pf0vf${vfnum}`, flavour: "pcivf", controller: 0, pfnum: 0, vfnum };
	return { ...port, external: false, splittable: false, function: { hw_addr: "00:00:00:00:00:00", ...capabilities } };
}

const MLX5_INFO = JSON.stringify({
	info: {
		"pci/0000:06:00.0": {
			driver: "mlx5_core",
			versions: {
				fixed: { "fw.psid": "MT_0000000359" },
				running: { "fw.version": "22.41.1000", fw: "22.41.1000" },
				stored: { "fw.version": "22.42.1000", fw: "22.42.1000" },
			},
		},
	},
});

function qat(root: string): void {
	const board = { class: "0b4000", driver: "4xxx" };
	const files = {
		"qat/state": "up",
		"qat/cfg_services": "sym;asym",
		"qat/num_rps": "64",
		"qat/pm_idle_enabled": "1",
		"qat/auto_reset": "off",
	};
	const [, vf] = populateSriov(root, { ...board, address: "0000:6b:00.0", device: "4940", files }, [
		{ ...board, address: "0000:6b:00.1", device: "4941", driver: "qat_vfio_pci" },
		{ ...board, address: "0000:6b:00.2", device: "4941", driver: "4xxxvf" },
	]);
	if (vf !== undefined) populateVfio(root, vf, 0, { state: "ERROR", features: "stop-copy\npre-copy" });
}

function hisilicon(root: string): void {
	const board = { vendor: "19e5", class: "120000", revision: "30", subsystem_vendor: "0000" };
	const uacce = {
		api: "hisi_qm_v3",
		algorithms: "zlib\ngzip\ndeflate\nlz77_zstd",
		available_instances: "200",
		flags: "1",
	};
	const files = Object.fromEntries(Object.entries(uacce).map(([name, text]) => [`uacce/hisi_zip-2/${name}`, text]));
	const [, ...vfs] = populateSriov(
		root,
		{ ...board, address: "0000:31:00.0", device: "a250", driver: "hisi_zip", files },
		["0000:31:00.1", "0000:31:00.2", "0000:31:00.3"].map((address) => ({
			...board,
			address,
			device: "a251",
			driver: "hisi_acc_vfio_pci",
		})),
	);
	for (const [index, vf] of vfs.entries()) populateVfio(root, vf, index, { state: "RUNNING" });
	populateModule(root, "hisi_zip", { module: "hisi_zip" });
	writeFiles(join(root, "module/hisi_zip/parameters"), { pf_q_num: "64", vfs_num: "0", uacce_mode: "1" });
}

function xe(root: string): void {
	const board = { device: "e211", class: "030000", subsystem_device: "1114" };
	const profile = (number: number, vram: string) => ({
		[`sriov_admin/vf${number}/profile/vram_quota`]: vram,
		[`sriov_admin/vf${number}/profile/exec_quantum_ms`]: "20",
		[`sriov_admin/vf${number}/profile/preempt_timeout_us`]: "40000",
		[`sriov_admin/vf${number}/profile/sched_priority`]: "low [normal] high",
	});
	const files = { ...profile(1, "8589934592"), ...profile(2, "4294967296") };
	const [, ...vfs] = populateSriov(root, { ...board, address: "0000:e3:00.0", driver: "xe", files }, [
		{ ...board, address: "0000:e3:00.1", driver: "xe-vfio-pci" },
		{ ...board, address: "0000:e3:00.2", driver: "xe-vfio-pci" },
	]);
	for (const [index, vf] of vfs.entries())
		populateVfio(root, vf, index, { state: "RUNNING", features: "stop-copy\np2p" });
}

function pds(root: string): void {
	const board = { vendor: "1dd8", subsystem_vendor: "1dd8", subsystem_device: "5001", class: "020000" };
	const [, vf] = populateSriov(root, { ...board, address: "0000:b5:00.0", device: "1002", driver: "pds_core" }, [
		{ ...board, address: "0000:b5:00.1", device: "1003", driver: "pds_vfio_pci" },
	]);
	if (vf !== undefined) populateVfio(root, vf, 0, { state: "RUNNING" });
}

const PDS_INFO = JSON.stringify({
	info: {
		"pci/0000:b5:00.0": {
			driver: "pds_core",
			versions: { fixed: { "asic.id": "0x0" }, running: { fw: "1.67.1-28" }, stored: { "fw.goldfw": "1.51.0" } },
		},
	},
});

function virtio(root: string): void {
	const board = { vendor: "1af4", subsystem_vendor: "1af4", subsystem_device: "1100", class: "020000" };
	const [, vf] = populateSriov(root, { ...board, address: "0000:c1:00.0", device: "1041", driver: "virtio-pci" }, [
		{ ...board, address: "0000:c1:00.1", device: "1041", driver: "virtio_vfio_pci" },
	]);
	if (vf !== undefined) populateVfio(root, vf, 0, PRE_COPY);
}

function vdpa(root: string): void {
	const board = { vendor: "15b3", device: "101e", subsystem_vendor: "15b3", subsystem_device: "0040" };
	const vf = populatePci(root, { ...board, address: "0000:06:00.2", driver: "mlx5_core" });
	populateVdpa(root, join(vf, "mlx5_core.eth.2"), "vdpa0", "vhost-vdpa-0", "vhost_vdpa");
	populateVdpa(root, join(vf, "mlx5_core.eth.2"), "vdpa1", undefined, "virtio_vdpa");
}

const VDPA_DEVICE = {
	type: "network",
	mgmtdev: "auxiliary/mlx5_core.eth.2",
	vendor_id: 5555,
	max_vqs: 5,
	max_vq_size: 256,
};

function vfioCcw(root: string): void {
	const css = join(root, "devices/css0");
	const subchannel = join(css, "0.0.0313");
	writeFiles(subchannel, {
		type: "0",
		modalias: "css:t0",
		driver_override: "vfio_ccw",
		chpids: "42 43 00 00 00 00 00 00",
		pimpampom: "c0 c0 ff",
	});
	writeFiles(css, { "chp0.42/type": "1b", "chp0.43/type": "1b", "chp0.00/type": "11" });
	link(join(root, "bus/css/devices/0.0.0313"), subchannel);
	const type = populateMdevType(root, subchannel, {
		type: "vfio_ccw-io",
		device_api: "vfio-ccw",
		files: { name: "I/O subchannel (Non-QDIO)" },
	});
	populateMdev(root, type, { uuid: "7e270a25-e163-4922-af60-757fc8ed48c6" });
}

function vfioAp(root: string): void {
	const parent = join(root, "devices/vfio_ap/matrix");
	mkdirSync(parent, { recursive: true });
	for (const [card, hwtype] of [
		["card05", "13"],
		["card06", "14"],
	] as const) {
		writeFiles(join(root, "devices/ap", card), { hwtype });
		link(join(root, "bus/ap/devices", card), join(root, "devices/ap", card));
	}
	const others = `0xf9${"f".repeat(62)}`;
	writeFiles(join(root, "bus/ap"), { apmask: others, aqmask: `0xf7fffffffffffffffe${"f".repeat(46)}` });
	const type = populateMdevType(root, parent, {
		type: "vfio_ap-passthrough",
		available_instances: "65536",
		device_api: "vfio-ap",
		files: { name: "VFIO AP Passthrough Device" },
	});
	const matrix = "05.0004\n05.0047\n06.0004\n06.0047";
	populateMdev(root, type, {
		uuid: "669d9b23-fe1b-4ecb-be08-a2fabca99b71",
		files: { matrix, guest_matrix: "05.0004\n05.0047", control_domains: "0004\n0047" },
	});
}

function gvtG(root: string): void {
	const gpu = populatePci(root, {
		address: "0000:00:02.0",
		below: "pci0000:00",
		device: "591d",
		subsystem_device: "2212",
		class: "030000",
		revision: "04",
		driver: "i915",
	});
	const description = "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\nresolution: 1920x1200\nweight: 4";
	const type = populateMdevType(root, gpu, { type: "i915-GVTg_V5_4", files: { description } });
	populateMdev(root, type, { uuid: "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", files: { "intel_vgpu/vgpu_id": "1" } });
}

/** Another vendor's mdevs: the sample driver of the kernel, samples/vfio-mdev/mdpy.c, whose parent is no PCI function. */
function mdpy(root: string): void {
	const parent = join(root, "devices/virtual/mdpy/mdpy");
	mkdirSync(parent, { recursive: true });
	const type = populateMdevType(root, parent, {
		type: "mdpy-xga",
		available_instances: "3",
		files: { name: "mdpy-xga", description: "virtual display, 1024x768 framebuffer" },
	});
	const files = { "vendor/resolution": "1024x768" };
	populateMdev(root, type, { uuid: "5a1e3b64-0f0d-4f0a-8d5e-6a2f7c91b0d4", files });
}

/** Every device class that the built-in policy knows; the golden snapshots have these names. */
export const CLASS_HOSTS: Readonly<Record<string, ClassHost>> = {
	"nvidia-vgpu-mdev": {
		populate: nvidiaMdev,
		programs: { "nvidia-smi": "echo '00000000:41:00.0, Enabled, [N/A]'" },
	},
	"nvidia-vgpu-vf": {
		populate: nvidiaVfs,
		programs: { "nvidia-smi": "echo '00000000:41:00.0, Enabled, Disabled'" },
	},
	"nvidia-vgpu-cuda": {
		populate: nvidiaCuda,
		programs: { "nvidia-smi": "echo '00000000:41:00.0, Enabled, Disabled'" },
	},
	"mlx5-vf": {
		populate: mlx5,
		programs: { devlink: `case "$2" in port) echo '${MLX5_PORTS}';; dev) echo '${MLX5_INFO}';; esac` },
	},
	"hisilicon-vf": { populate: hisilicon },
	"qat-vf": { populate: qat },
	"xe-vf": { populate: xe },
	"pds-vf": { populate: pds, programs: { devlink: `echo '${PDS_INFO}'` } },
	"virtio-vf": { populate: virtio },
	vdpa: {
		populate: vdpa,
		programs: {
			vdpa: `case "$2 $3" in
				"mgmtdev show") echo '${JSON.stringify({ mgmtdev: { "auxiliary/mlx5_core.eth.2": { supported_classes: ["net"], max_supported_vqs: 257, dev_features: ["CSUM", "MTU", "MAC", "MQ"] } } })}';;
				"dev show") echo '${JSON.stringify({ dev: { vdpa0: VDPA_DEVICE, vdpa1: VDPA_DEVICE } })}';;
				"dev config") echo '${JSON.stringify({ config: { vdpa0: { mac: "52:54:00:00:00:01", "link ": "up", max_vq_pairs: 2, mtu: 1500, negotiated_features: ["CSUM", "MTU"] }, vdpa1: { mtu: 1500 } } })}';;
			esac`,
		},
	},
	"vfio-ccw": { populate: vfioCcw },
	"vfio-ap": { populate: vfioAp },
	"gvt-g": { populate: gvtG },
	mdev: { populate: mdpy },
	"vfio-pci": {
		populate: (root) => {
			const node = populatePci(root, { address: "0000:83:06.1", device: "1889", driver: "vfio-pci" });
			populateVfio(root, node, 0);
			populateModule(root, "vfio-pci", { module: "vfio_pci", version: "0.2" });
		},
	},
	"vfio-pci-without-migration": {
		populate: (root) => {
			const board = {
				vendor: "10de",
				device: "2342",
				subsystem_vendor: "10de",
				subsystem_device: "16eb",
				class: "030200",
			};
			const node = populatePci(root, { ...board, address: "0009:01:00.0", driver: "nvgrace_gpu_vfio_pci" });
			populateVfio(root, node, 0);
			populateModule(root, "nvgrace_gpu_vfio_pci", { module: "nvgrace_gpu_vfio_pci" });
			mkdirSync(join(root, "kernel/debug/vfio/0009:01:00.0"), { recursive: true });
		},
	},
};
