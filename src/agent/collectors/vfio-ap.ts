import { readingOfAll } from "../reading.ts";
import type { ClassCollector } from "./collector.ts";

/**
 * Crypto adapters of s390 (Documentation/arch/s390/vfio-ap.rst): `matrix` is the queues of the mdev, one `05.0004` (adapter,
 * domain; hexadecimal) a line in its file of that name (drivers/s390/crypto/vfio_ap_ops.c, `matrix_show`); `hwtype` the
 * hardware types of their cards, `/sys/bus/ap/devices/card<adapter>/hwtype`.
 *
 * Facts: `guest_matrix`, the queues of those that the guest sees now, and `control_domains`, in the same form; of mdevs and types
 * `apmask` and `aqmask` of the host, the adapters and domains that its own drivers keep.
 */
export const vfioAp: ClassCollector =
	({ sysfs }) =>
	({ kind, found }, node) => {
		if (!found.attributes["mdev_type"]?.startsWith("vfio_ap-")) return;
		const bus = sysfs.directory("bus/ap");
		if (bus !== undefined) for (const name of ["apmask", "aqmask"]) found.readFact(name, bus);
		if (kind !== "mdev") return;
		for (const name of ["guest_matrix", "control_domains"]) found.readFact(name, node, name, inOneLine);
		found.read("matrix", node, "matrix", inOneLine);
		const adapters = new Set(found.attributes["matrix"]?.match(/\b[0-9a-f]{2}(?=\.)/g));
		if (adapters.size === 0) return;
		const cards = [...adapters].map((adapter) => sysfs.directory(`bus/ap/devices/card${adapter}`));
		found.record("hwtype", readingOfAll(cards.map((card) => card?.read("hwtype"))), "bus/ap/devices");
	};

function inOneLine(text: string): string {
	return text.trim().split("\n").join(",");
}
