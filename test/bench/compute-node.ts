import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { PRE_COPY, populateNvidiaProc, populateSriov, populateVfio } from "../agent/hosts.ts";
import { populateMdev, populateMdevType, populateModule, populatePci, resourceFile } from "../support/sysfs.ts";

const VFS_OF_A_PF = 256;
const MDEVS_OF_A_GPU = 32;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** Function `number` of the devices on a bus, as many buses as it takes. */
function addressOf(bus: number, number: number): string {
	return `0000:${hex(bus + (number >> 8), 2)}:${hex((number >> 3) & 0x1f, 2)}.${number & 7}`;
}

/** A large compute node below `root`: VFs that vfio has, with the attributes of a vendor's driver, and mdevs. */
export function populateComputeNode(root: string, { vfs, mdevs }: { vfs: number; mdevs: number }): void {
	for (const directory of ["bus", "devices"]) mkdirSync(join(root, directory), { recursive: true });
	for (let first = 0; first < vfs; first += VFS_OF_A_PF) populateNic(root, first, Math.min(vfs, first + VFS_OF_A_PF));
	if (vfs > 0) populateModule(root, "mlx5_vfio_pci", { module: "mlx5_vfio_pci" });
	for (let number = 0; number < mdevs; number++) {
		const gpu = Math.floor(number / MDEVS_OF_A_GPU);
		if (number % MDEVS_OF_A_GPU === 0) populateGpu(root, addressOf(0xc0, gpu));
		const type = join(root, `devices/pci0000:c0/${addressOf(0xc0, gpu)}/mdev_supported_types/${TYPE}`);
		populateMdev(root, type, { uuid: `83b8f4f2-509f-382f-3c1e-${hex(number, 12)}`, files: MDEV_FILES });
	}
	if (mdevs > 0) populateModule(root, "nvidia", { module: "nvidia", version: "550.90.05" });
}

/** A ConnectX with the VFs from `first` up to `end`, all of them bound to its variant driver. */
function populateNic(root: string, first: number, end: number): void {
	const board = { vendor: "15b3", subsystem_vendor: "15b3", subsystem_device: "0040" };
	const nic = first / VFS_OF_A_PF;
	const pf = {
		...board,
		address: addressOf(0x80 + nic, 0),
		below: `pci0000:00/0000:00:${hex(nic, 2)}.0`,
		device: "101d",
		driver: "mlx5_core",
		files: { sriov_totalvfs: `${VFS_OF_A_PF}`, sriov_vf_device: "101e" },
	};
	const numbers = Array.from({ length: end - first }, (_, index) => first + index);
	const [, ...nodes] = populateSriov(
		root,
		pf,
		numbers.map((number) => ({
			...board,
			address: addressOf(0x20, number),
			device: "101e",
			driver: "mlx5_vfio_pci",
			files: { ...VF_FILES, software_version: `1.2.${number % 7}` },
		})),
	);
	for (const [index, node] of nodes.entries()) populateVfio(root, node, first + index, PRE_COPY);
}

/** A board before Ampere: its mdevs are on the PF. */
function populateGpu(root: string, address: string): void {
	const gpu = populatePci(root, {
		address,
		below: "pci0000:c0",
		vendor: "10de",
		device: "1db6",
		subsystem_vendor: "10de",
		subsystem_device: "124a",
		class: "030200",
		revision: "a1",
		driver: "nvidia",
		files: { numa_node: "1", driver_override: "(null)" },
	});
	populateMdevType(root, gpu, { type: TYPE, available_instances: "0", files: TYPE_FILES });
	populateNvidiaProc(root, address, "N/A");
}

const VF_FILES = {
	driver_override: "mlx5_vfio_pci",
	interface_version: "2.1.0",
	interface_version_compatible: "2.0.2-2.0.4,2.1.0-",
	numa_node: "0",
	local_cpulist: "0-31",
	"power/control": "on",
	resource: resourceFile(2 ** 20),
};

const TYPE = "nvidia-180";

const TYPE_FILES = {
	name: "GRID V100D-1Q",
	description: "num_heads=4, frl_config=60, framebuffer=1024M, max_resolution=5120x2880, max_instance=32",
	software_version: "550.90",
};

const MDEV_FILES = { aggregator: "1", "nvidia/vgpu_params": "frame_rate_limiter=0" };
