import { type ClassCollector, hasDriver, physicalFunction } from "./collector.ts";
import { vfNumbers } from "./sriov.ts";

const NUMBERS = ["vram_quota", "exec_quantum_ms", "preempt_timeout_us"] as const;

/**
 * VFs of Intel Xe GPUs: the profile of the VF that the PF has in `sriov_admin/vf<N>/profile`, N from 1 (verified in
 * Documentation/ABI/testing/sysfs-driver-intel-xe-sriov; Linux 6.19, vram_quota 7.0). `vram_quota` is in bytes and absent on a
 * GPU without memory of its own; `sched_priority` shows all priorities with the current one in brackets, `[low] normal high`.
 * A value that is not the same on all tiles is unreadable: `EUCLEAN`.
 *
 * `sriov_numvfs` of the PF: among so many VFs it divides GGTT, contexts and doorbells, whose shares are in debugfs only
 * (drivers/gpu/drm/xe/xe_sriov_pf_provision.c), unless somebody has set them there.
 */
export const xe: ClassCollector = (host) => {
	const numberOf = vfNumbers(host.sysfs);
	return (device) => {
		const { id, parent, found } = device;
		if (!hasDriver(device, "xe_vfio_pci") || parent === undefined) return;
		const pf = physicalFunction(host, device);
		if (pf !== undefined) found.read("sriov_numvfs", pf);
		const number = numberOf(parent, id);
		if (number === undefined) return;
		const profile = pf?.directory(`sriov_admin/vf${number + 1}/profile`);
		if (profile === undefined) return;
		for (const name of NUMBERS) found.read(name, profile, name, (text) => text.trim());
		found.read("sched_priority", profile, "sched_priority", (text) => /\[(\w+)\]/.exec(text)?.[1]);
	};
};
