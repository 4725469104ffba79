import type { DeviceClass } from "../policy.ts";
import { gvtG } from "./gvt-g.ts";
import { hisiliconVf } from "./hisilicon.ts";
import { anyMdev } from "./mdev.ts";
import { mlx5Vf } from "./mlx5.ts";
import { nvidiaVgpuCuda, nvidiaVgpuMdev, nvidiaVgpuVf } from "./nvidia-vgpu.ts";
import { pdsVf } from "./pds.ts";
import { qatVf } from "./qat.ts";
import { vfioAp, vfioCcw } from "./s390.ts";
import { plainVfioPci, variantWithoutMigration } from "./vfio-pci.ts";
import { vdpa, virtioVf } from "./virtio.ts";
import { xeVf } from "./xe.ts";

/** The device classes that are built in; the first that matches counts, so what is special stands before what is general. */
export const DEVICE_CLASSES: readonly DeviceClass[] = [
	nvidiaVgpuCuda,
	nvidiaVgpuMdev,
	nvidiaVgpuVf,
	mlx5Vf,
	hisiliconVf,
	qatVf,
	xeVf,
	pdsVf,
	virtioVf,
	vdpa,
	vfioCcw,
	vfioAp,
	gvtG,
	plainVfioPci,
	variantWithoutMigration,
	anyMdev,
];
