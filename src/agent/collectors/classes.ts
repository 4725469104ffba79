import type { Sysfs } from "../sysfs.ts";
import type { ClassCollector, Draft, Host } from "./collector.ts";
import { hisilicon } from "./hisilicon.ts";
import { mlx5 } from "./mlx5.ts";
import { nvidia } from "./nvidia.ts";
import { pds } from "./pds.ts";
import { qat } from "./qat.ts";
import { vfio } from "./vfio.ts";
import { vfioAp } from "./vfio-ap.ts";
import { vfioCcw } from "./vfio-ccw.ts";
import { xe } from "./xe.ts";

/**
 * One per device class; to add a class, add a file beside these and a line here. None of virtio_vfio_pci: the features of a VF
 * that vfio has are in no file, so an overlay gives them. A vDPA device, whose features a program tells, is another kind: vdpa.ts.
 */
const CLASSES: readonly ClassCollector[] = [vfio, nvidia, mlx5, hisilicon, qat, xe, pds, vfioCcw, vfioAp];

/** What the classes add to the devices of a host. */
export function classCollector(host: Host): (device: Draft, node: Sysfs) => void {
	const prepared = CLASSES.map((prepare) => prepare(host));
	return (device, node) => {
		for (const describe of prepared) describe(device, node);
	};
}
