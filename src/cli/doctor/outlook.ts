import { compare } from "../../compat/compare.ts";
import type { Candidate } from "../../compat/device.ts";
import { classify } from "../../compat/device-class.ts";
import type { Policy, Rule } from "../../compat/policy.ts";
import { classKey } from "../../compat/pool.ts";
import { outcome, type Reason, type Verdict } from "../../compat/reason.ts";
import type { SnapshotDevice } from "../../snapshot/snapshot.ts";

/** Devices of one class that an instance could have, and what their migration would hinge on. */
export interface Outlook {
	/** Of the policy; null when no class matches. */
	readonly device_class: string | null;
	readonly devices: readonly string[];
	/** How many more instances they can take. */
	readonly free: number;
	/** To a host that has the very same: what is not accepted there is accepted nowhere. */
	readonly verdict: Verdict;
	readonly reasons: readonly Pick<Reason, "code" | "attribute" | "message">[];
	/** Attributes without which, or with another value of which, the destination would be refused. */
	readonly hinges_on: readonly string[];
	/** Attributes that the policy has a rule for and that these devices do not have: such a rule is silent. */
	readonly missing: readonly string[];
}

/** Kinds of rules that want nothing to be there. */
const CONTENT: ReadonlySet<Rule["kind"]> = new Set(["ignore", "info", "none_of"]);

/** What migration of the devices that an instance could have would hinge on, alike ones together. */
export function outlooksOf(devices: readonly SnapshotDevice[], policy: Policy): readonly Outlook[] {
	const rows = groupsOf(devices.filter(isAssignable), classKey).map((group) => outlookOf(group, policy));
	const alike = groupsOf(rows, ({ device_class, verdict, reasons, hinges_on, missing }) => [
		device_class,
		verdict,
		reasons.map(({ code, attribute }) => [code, attribute]),
		hinges_on,
		missing,
	]);
	return alike.map((group) => ({
		...group[0],
		devices: group.flatMap((row) => row.devices).sort(),
		free: group.reduce((sum, { free }) => sum + free, 0),
	}));
}

/** A Neutron port is unplugged, and an NVIDIA VF without a type is no vGPU yet: neither need be able to migrate. */
function isAssignable({ kind, port, attributes }: SnapshotDevice): boolean {
	const isBlank = attributes["creatable_vgpu_types"] !== undefined && attributes["vgpu_type"] === undefined;
	return !port && !isBlank && (kind !== "pci" || attributes["device_api"] !== undefined);
}

function outlookOf(group: Group<SnapshotDevice>, policy: Policy): Outlook {
	const [device] = group;
	const classified = classify(device, policy);
	const { device_class } = classified;
	const meets = (target: Candidate) =>
		errorsOf(compare({ source: device, target, source_host: "here", target_host: "there", ...classified }));
	const reasons = meets(device);
	return {
		device_class: device_class?.name ?? null,
		devices: group.map(({ id }) => id),
		free: group.reduce((sum, { instance, capacity }) => sum + (instance === undefined ? capacity : 0), 0),
		verdict: outcome(reasons),
		// What both sides have is told once.
		reasons: groupsOf(reasons, ({ code, attribute }) => [code, attribute]).map(([{ code, attribute, message }]) => ({
			code,
			...(attribute && { attribute }),
			message,
		})),
		hinges_on: Object.keys(device.attributes).filter((name) =>
			[without(device, name), { ...device, attributes: { ...device.attributes, [name]: "?" } }].some(
				(target) => meets(target).length > reasons.length,
			),
		),
		missing: (device_class?.rules ?? [])
			.filter(({ kind, severity }) => !CONTENT.has(kind) && severity !== "off")
			.map(({ attribute }) => attribute)
			.filter((name) => device.attributes[name] === undefined && device.unreadable[name] === undefined),
	};
}

function errorsOf(reasons: readonly Reason[]): readonly Reason[] {
	return reasons.filter(({ severity }) => severity === "error");
}

function without(device: SnapshotDevice, name: string): SnapshotDevice {
	const { [name]: _left, ...attributes } = device.attributes;
	return { ...device, attributes };
}

type Group<T> = readonly [T, ...T[]];

/** The items with equal keys together, in the order of their first ones. */
export function groupsOf<T>(items: readonly T[], keyOf: (item: T) => unknown): readonly Group<T>[] {
	const groups = new Map<string, [T, ...T[]]>();
	for (const item of items) {
		const key = JSON.stringify(keyOf(item));
		const group = groups.get(key);
		if (group === undefined) groups.set(key, [item]);
		else group.push(item);
	}
	return [...groups.values()];
}
