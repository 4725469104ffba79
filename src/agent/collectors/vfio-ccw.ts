import { type Reading, readingOfAll } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";
import type { ClassCollector } from "./collector.ts";

/**
 * Subchannels of s390 that vfio-ccw has: `subchannel_type` is `type` of the subchannel that is the parent
 * (Documentation/ABI/testing/sysfs-bus-css), `chpid_type` the types of its channel paths: `chpids` has eight ids of two
 * hexadecimal digits, of which those count whose bit is set in the PIM, the first number of `pimpampom`; the type of each is
 * `/sys/devices/css0/chp0.<id>/type`, hexadecimal (drivers/s390/cio/chp.c, `chp_type_show`). Facts are `modalias`, which has the
 * type once more, and `driver_override` of the subchannel, as of a PCI function.
 */
export const vfioCcw: ClassCollector =
	({ sysfs }) =>
	({ parent, found }) => {
		if (!found.attributes["mdev_type"]?.startsWith("vfio_ccw-") || parent === undefined) return;
		const subchannel = sysfs.directory(`bus/css/devices/${parent}`);
		if (subchannel === undefined) return;
		found.read("subchannel_type", subchannel, "type", (text) => text.trim());
		found.readFact("modalias", subchannel);
		found.readFact("driver_override", subchannel, "driver_override", (text) => (text === "(null)" ? "" : text));
		found.record("chpid_type", pathTypes(sysfs, subchannel), `${subchannel.path}/chpids`);
	};

/** Unreadable if a part of it is; `EBADMSG`, if one is missing or has another form. */
function pathTypes(sysfs: Sysfs, subchannel: Sysfs): Reading {
	const [chpids, installed] = [subchannel.read("chpids"), subchannel.read("pimpampom")];
	if (chpids === undefined || "errno" in chpids) return chpids;
	if (installed === undefined || "errno" in installed) return installed ?? { errno: "EBADMSG" };
	if (!/^[0-9a-f]{2} /.test(installed.value)) return { errno: "EBADMSG" };
	const mask = Number.parseInt(installed.value.slice(0, 2), 16);
	const ids = chpids.value
		.trim()
		.split(/\s+/)
		.filter((_id, index) => (mask & (0x80 >> index)) !== 0);
	return readingOfAll(ids.map((id) => sysfs.directory(`devices/css0/chp0.${id}`)?.read("type")));
}
