import { type ClassCollector, hasDriver } from "./collector.ts";
import { firmwareVersions } from "./devlink.ts";

/** VFs of AMD Pensando DSCs: what the kernel tells beside the ids is the firmware of the PF. */
export const pds: ClassCollector = (host) => {
	const addFirmware = firmwareVersions(host);
	return (device) => {
		if (hasDriver(device, "pds_vfio_pci")) addFirmware(device);
	};
};
