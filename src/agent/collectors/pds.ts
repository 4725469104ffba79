import { type ClassCollector, hasDriver } from "./collector.ts";
import { devlinkVersions, FIRMWARE } from "./devlink.ts";

/** VFs of AMD Pensando DSCs: what the kernel tells beside the ids is the firmware of the PF. */
export const pds: ClassCollector = (host) => {
	const addFirmware = devlinkVersions(host, [FIRMWARE]);
	return (device) => {
		if (hasDriver(device, "pds_vfio_pci")) addFirmware(device);
	};
};
