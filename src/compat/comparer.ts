import { compare } from "./compare.ts";
import type { Candidate, Device } from "./device.ts";
import { type Classified, classify } from "./device-class.ts";
import { once } from "./once.ts";
import { override, overridesFor } from "./override.ts";
import type { Override, Policy } from "./policy.ts";
import { classKey } from "./pool.ts";
import { type Reason, ranked } from "./reason.ts";
import { type Fit, fitOf } from "./settle.ts";

/** One device of the source and one candidate of a target host. */
interface Encounter {
	readonly source_host: string;
	readonly device: Device;
	readonly candidate: Candidate;
	readonly target_host: string;
}

/** Compares alike devices with alike candidates once, however many hosts have them. */
export interface Comparer {
	/** How the device fits any candidate of the class; the names in the reasons are those of some pair of the two classes. */
	fit(encounter: Encounter, candidateKey: string): Fit;
	/** The reasons with the names of this very pair. */
	reasons(encounter: Encounter, candidateKey: string): readonly Reason[];
}

interface Known extends Encounter {
	readonly fit: Fit;
}

interface SourceDevice extends Classified {
	readonly key: string;
}

/** Comparisons until everything is forgotten: a cloud has some hundreds of pairs of classes. */
const MAX_REMEMBERED = 16_384;

/** The comparer of a policy; classes of devices that were compared for one question are not compared for the next. */
export const comparerFor = once((policy: Policy): Comparer => {
	const known = new Map<string, Map<string, Known>>();
	let remembered = 0;
	const sourceOf = once((device: Device): SourceDevice => ({ key: classKey(device), ...classify(device, policy) }));

	function overridesOf({ source_host, device, target_host }: Encounter): readonly Override[] {
		return overridesFor(policy.overrides, { source_host, target_host, device: device.id });
	}
	function compareNow(encounter: Encounter): readonly Reason[] {
		const { source_host, device, candidate, target_host } = encounter;
		const { key: _, ...classified } = sourceOf(device);
		const pair = { source: device, target: candidate, source_host, target_host, ...classified };
		const overrides = overridesOf(encounter);
		return overrides.length === 0 ? compare(pair) : ranked(override(compare(pair), overrides));
	}
	/** Alike devices are not judged alike when an override names one of them, or one of the hosts. */
	function rowOf(encounter: Encounter): Map<string, Known> {
		const { key } = sourceOf(encounter.device);
		const overridden = overridesOf(encounter).map((one) => policy.overrides.indexOf(one));
		const rowKey = overridden.length === 0 ? key : `${overridden.join()} ${key}`;
		const row = known.get(rowKey) ?? new Map<string, Known>();
		known.set(rowKey, row);
		return row;
	}
	function lookUp(encounter: Encounter, candidateKey: string): Known {
		return rowOf(encounter).get(candidateKey) ?? remember(encounter, candidateKey);
	}
	function remember(encounter: Encounter, candidateKey: string): Known {
		if (++remembered > MAX_REMEMBERED) {
			known.clear();
			remembered = 1;
		}
		const found = { ...encounter, fit: fitOf(compareNow(encounter), policy) };
		rowOf(encounter).set(candidateKey, found);
		return found;
	}
	return {
		fit: (encounter, candidateKey) => lookUp(encounter, candidateKey).fit,
		reasons(encounter, candidateKey) {
			const found = lookUp(encounter, candidateKey);
			const isSame = (["source_host", "device", "candidate", "target_host"] as const).every(
				(name) => found[name] === encounter[name],
			);
			const { fit } = isSame || found.fit.reasons.length === 0 ? found : remember(encounter, candidateKey);
			return fit.reasons;
		},
	};
});
