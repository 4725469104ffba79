import { allows } from "./decision.ts";
import { attributeOf, type Device } from "./device.ts";
import { classOf } from "./device-class.ts";
import { normalise } from "./normalise.ts";
import { few } from "./pair.ts";
import type { Policy } from "./policy.ts";
import type { Pool } from "./pool.ts";
import { outcome, REASON_CODES, type Reason, reason } from "./reason.ts";
import type { Option } from "./settle.ts";

/**
 * Nova chooses by the name of the mdev type (`_allocate_mdevs` of nova/virt/libvirt/driver.py) or by the PCI ids of the alias
 * (`consume_requests` of nova/pci/stats.py), in any order. What vfio does not have, nobody means it to take.
 */
const CHOSEN_BY = ["device_api", "mdev_type", "vendor", "device"] as const;

/** What of a host would be refused and can be taken for what is not. A decision has a device in mind, but the choice is Nova's. */
export function refusedLookalikes(
	target_host: string,
	device: Device,
	own: readonly Reason[],
	options: readonly Option<Pool>[],
	policy: Policy,
): readonly Reason[] {
	if (!isAllowed(own, policy)) return [];
	const refused = options.filter(({ fit }) => !isAllowed(fit.reasons, policy));
	if (refused.length === 0) return [];
	const alike = alikeTo(device, policy);
	const free = refused
		.filter(({ candidate }) => alike(candidate.first))
		.flatMap(({ candidate, fit: { reasons } }) =>
			candidate.candidates.filter(({ capacity }) => capacity > 0).map(({ id }) => ({ id, reasons })),
		);
	if (free.length === 0) return [];
	const names = few(free.map(({ id, reasons }) => `${id} (${whyNot(reasons)})`));
	const message = `Nova may give ${device.id} another free device of ${target_host}, which is not accepted: ${names}`;
	return [reason("candidate.mixed", "match", message, { device: device.id })];
}

function isAllowed(reasons: readonly Reason[], policy: Policy): boolean {
	return allows(policy, outcome(reasons), reasons);
}

/** The first error, else what must be set first. */
function whyNot(reasons: readonly Reason[]): string | undefined {
	const found = reasons.find(({ code, severity }) => severity === "error" || REASON_CODES[code] === "obligation");
	return found?.attribute ?? found?.code;
}

/** Another driver, or a VF that is not set up, is for something else: the operator keeps it from Nova's alias. */
function alikeTo(device: Device, policy: Policy): (candidate: Device) => boolean {
	const wanted = CHOSEN_BY.map((name) => comparable(device, name));
	const wantedClass = classOf(device, policy);
	return (candidate) =>
		CHOSEN_BY.every((name, place) => comparable(candidate, name) === wanted[place]) &&
		classOf(candidate, policy) === wantedClass;
}

function comparable(device: Device, name: string): string | undefined {
	const value = attributeOf(device, name);
	return value === undefined ? undefined : normalise(name, value);
}
