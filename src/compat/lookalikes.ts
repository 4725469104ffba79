import { attributeOf, type Device } from "./device.ts";
import { classify } from "./device-class.ts";
import { normalise } from "./normalise.ts";
import type { Policy } from "./policy.ts";
import type { Pool } from "./pool.ts";
import { type Reason, reason } from "./reason.ts";
import { isPossible, type Option } from "./settle.ts";

/**
 * Nova chooses by the name of the mdev type (`_allocate_mdevs` of nova/virt/libvirt/driver.py) or by the PCI ids of the alias
 * (`consume_requests` of nova/pci/stats.py), in any order. What vfio does not have, nobody means it to take.
 */
const CHOSEN_BY = ["device_api", "mdev_type", "vendor", "device"] as const;
const MAX_NAMED = 3;

/** What of a host does not fit and can be taken for what does. A decision has a device in mind, but the choice is Nova's. */
export function unfitLookalikes(
	target_host: string,
	device: Device,
	options: readonly Option<Pool>[],
	policy: Policy,
): readonly Reason[] {
	const unfit = options
		.filter(({ candidate, fit }) => !isPossible(fit) && isAlike(device, candidate.first, policy))
		.flatMap(({ candidate, fit: { reasons } }) => candidate.candidates.map((one) => ({ ...one, why: reasons[0] })))
		.filter(({ capacity }) => capacity > 0);
	if (unfit.length === 0) return [];
	const names = unfit.slice(0, MAX_NAMED).map(({ id, why }) => `${id} (${why?.attribute ?? why?.code})`);
	const more = unfit.length > MAX_NAMED ? ` and ${unfit.length - MAX_NAMED} more` : "";
	const message = `Nova may give ${device.id} another free device of ${target_host}, which does not fit: ${names.join(", ")}${more}`;
	return [reason("candidate.mixed", "match", message, { device: device.id })];
}

/** Another driver, or a VF that is not set up, is for something else: the operator keeps it from Nova's alias. */
function isAlike(device: Device, candidate: Device, policy: Policy): boolean {
	return (
		CHOSEN_BY.every((name) => comparable(device, name) === comparable(candidate, name)) &&
		classify(device, policy).device_class === classify(candidate, policy).device_class
	);
}

function comparable(device: Device, name: string): string | undefined {
	const value = attributeOf(device, name);
	return value === undefined ? undefined : normalise(name, value);
}
