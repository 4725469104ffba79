import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { populateMdev, populateMdevType, populatePci } from "../support/sysfs.ts";

const VFS_OF_A_PF = 256;
const MDEVS_OF_A_GPU = 32;

const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

/** Function `number` of the devices on a bus, as many buses as it takes. */
function addressOf(bus: number, number: number): string {
	return `0000:${hex(bus + (number >> 8), 2)}:${hex((number >> 3) & 0x1f, 2)}.${number & 7}`;
}

/** A large compute node below `root`: VFs with the attributes of a vendor's driver, and mdevs. */
export function populateComputeNode(root: string, { vfs, mdevs }: { vfs: number; mdevs: number }): void {
	for (const directory of ["bus", "devices"]) mkdirSync(join(root, directory), { recursive: true });
	for (let number = 0; number < vfs; number++) {
		const below = `pci0000:00/0000:00:${hex(Math.floor(number / VFS_OF_A_PF), 2)}.0`;
		const physfn = addressOf(0x80 + (number >> 8), 0);
		if (number % VFS_OF_A_PF === 0) populatePci(root, { address: physfn, below, driver: "mlx5_core" });
		populatePci(root, {
			address: addressOf(0x20, number),
			below,
			device: "101e",
			driver: "mlx5_vfio_pci",
			physfn,
			files: { ...VF_FILES, software_version: `1.2.${number % 7}` },
		});
	}
	for (let number = 0; number < mdevs; number++) {
		const gpu = Math.floor(number / MDEVS_OF_A_GPU);
		if (number % MDEVS_OF_A_GPU === 0) {
			const parent = populatePci(root, { address: addressOf(0xc0, gpu), below: "pci0000:c0", driver: "nvidia" });
			populateMdevType(root, parent, { type: "nvidia-558", available_instances: "4", files: TYPE_FILES });
		}
		const type = join(root, `devices/pci0000:c0/${addressOf(0xc0, gpu)}/mdev_supported_types/nvidia-558`);
		populateMdev(root, type, { uuid: `83b8f4f2-509f-382f-3c1e-${hex(number, 12)}`, files: { aggregator: "1" } });
	}
}

const VF_FILES = {
	interface_version: "2.1.0",
	interface_version_compatible: "2.0.2-2.0.4,2.1.0-",
	numa_node: "0",
	local_cpulist: "0-31",
	"power/control": "on",
};

const TYPE_FILES = { name: "GRID A100-4C", description: "num_heads=1, frl_config=60", software_version: "550.90" };
