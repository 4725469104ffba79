import type { Sysfs } from "../sysfs.ts";
import type { ClassCollector } from "./collector.ts";

/**
 * Subchannels of s390 that vfio-ccw has: `subchannel_type` is `type` of the subchannel that is the parent
 * (Documentation/ABI/testing/sysfs-bus-css), `chpid_type` the types of its channel paths: `chpids` has eight ids of two
 * hexadecimal digits, of which those count whose bit is set in the PIM, the first number of `pimpampom`; the type of each is
 * `/sys/devices/css0/chp0.<id>/type`, hexadecimal (drivers/s390/cio/chp.c, `chp_type_show`).
 */
export const vfioCcw: ClassCollector =
	({ sysfs }) =>
	({ parent, found }) => {
		if (!found.attributes["mdev_type"]?.startsWith("vfio_ccw-") || parent === undefined) return;
		const subchannel = sysfs.directory(`bus/css/devices/${parent}`);
		if (subchannel === undefined) return;
		found.read("subchannel_type", subchannel, "type", (text) => text.trim());
		found.read("chpid_type", subchannel, "chpids", (text) => pathTypes(sysfs, text, subchannel));
	};

function pathTypes(sysfs: Sysfs, chpids: string, subchannel: Sysfs): string | undefined {
	const installed = subchannel.read("pimpampom");
	if (installed === undefined || "errno" in installed || !/^[0-9a-f]{2} /.test(installed.value)) return undefined;
	const mask = Number.parseInt(installed.value.slice(0, 2), 16);
	const ids = chpids
		.trim()
		.split(/\s+/)
		.filter((_id, index) => (mask & (0x80 >> index)) !== 0);
	const types = ids.map((id) => sysfs.directory(`devices/css0/chp0.${id}`)?.read("type"));
	const texts = types.map((type) => (type !== undefined && "value" in type ? type.value.trim() : undefined));
	return texts.every((text) => text !== undefined) ? [...new Set(texts)].sort().join(",") : undefined;
}
