import { type ClassCollector, hasDriver, physicalFunction } from "./collector.ts";

/**
 * VFs of Intel QAT: `state` and `cfg_services` of the PF's directory `qat/` (Documentation/ABI/testing/sysfs-driver-qat:
 * `up` or `down`; services such as `sym;asym`, in any order). The capability mask and the ring-to-service map that
 * adf_gen4_vf_mig.c compares are in no file, and `rp2srv` must be written to be asked: an overlay gives them. What else stands
 * there says how the PF is run, and nothing of its VFs: facts.
 */
export const qat: ClassCollector = (host) => (device) => {
	if (!hasDriver(device, "qat_vfio_pci")) return;
	const own = physicalFunction(host, device)?.directory("qat");
	if (own === undefined) return;
	for (const name of ["state", "cfg_services"]) device.found.read(name, own, name, (text) => text.trim());
	for (const name of ["num_rps", "pm_idle_enabled", "auto_reset"]) {
		device.found.readFact(name, own, name, (text) => text.trim());
	}
};
