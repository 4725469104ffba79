import { judgedByDeclaration } from "./compare.ts";
import { type Answer, answer, type Question, seatsOf } from "./decide.ts";
import type { Decision } from "./decision.ts";
import type { Device } from "./device.ts";
import { classify } from "./device-class.ts";
import { nearestOf } from "./nearest.ts";
import { byId, capacityOf } from "./pool.ts";
import { outcome, REASON_CODES, type Reason, type ReasonCode, type Verdict } from "./reason.ts";

/** One device against one candidate. */
export interface Comparison {
	readonly device: string;
	readonly candidate: string;
	readonly verdict: Verdict;
	readonly reasons: readonly Reason[];
	/** Attributes that the devices' own declarations judge, so that the policy's rules for them were not asked. */
	readonly declared: readonly string[];
}

/** What would have to be different, or must be provisioned, so that a device can land on a candidate. */
interface Change {
	readonly code: ReasonCode;
	readonly attribute?: string;
	/** What the device on the source has, and so needs. */
	readonly need?: string;
	/** What the candidate has, or the list of what it accepts. */
	readonly have?: string;
	readonly message: string;
}

/** Devices that want the same candidates, which have not room for all of them. */
interface Contest {
	readonly devices: readonly string[];
	readonly candidates: readonly string[];
	readonly capacity: number;
}

/** One device of the source: where it lands, or where it comes closest to landing. */
export interface DeviceExplanation {
	readonly device: string;
	/** Of this device beside its candidate; the verdict of the decision takes all devices together. */
	readonly verdict: Verdict;
	/** What it takes, else the nearest one; absent when the host has nothing of its kind. */
	readonly candidate?: string;
	/** What would have to change for the candidate to take it; empty for accept. */
	readonly changes: readonly Change[];
	/** What must be provisioned on the candidate first. */
	readonly obligations: readonly Change[];
	readonly contest?: Contest;
}

/** A decision with what every device met, for people. */
export interface ExplainedDecision extends Decision {
	readonly source_host: string;
	readonly target_host: string;
	readonly devices: readonly DeviceExplanation[];
	/** Every pair that was looked at. */
	readonly comparisons: readonly Comparison[];
}

/** Decides, and tells everything that was looked at. */
export function explain(question: Question): ExplainedDecision {
	const found = answer(question);
	const { source_host, target_host } = question;
	return {
		source_host,
		target_host,
		...found.decision,
		devices: explainDevices(found),
		comparisons: found.devices.flatMap((device) => comparisonsOf(device, found, question)),
	};
}

function comparisonsOf(
	device: Device,
	{ optionsOf, reasonsOf }: Answer,
	{ source_host, target_host, policy }: Question,
): readonly Comparison[] {
	const from = { source: device, source_host, target_host, ...classify(device, policy) };
	const pairs = optionsOf(device).flatMap(({ candidate: pool }) =>
		pool.candidates.map((candidate) => ({ id: candidate.id, candidate, pool })),
	);
	return byId(pairs).map(({ candidate, pool }) => {
		const reasons = reasonsOf(device, candidate, pool);
		const declared = judgedByDeclaration({ ...from, target: candidate });
		return { device: device.id, candidate: candidate.id, verdict: outcome(reasons), reasons, declared };
	});
}

function explainDevices(found: Answer): readonly DeviceExplanation[] {
	const { devices, settlement, optionsOf, reasonsOf } = found;
	const seats = seatsOf(devices, settlement.assigned);
	return devices.map((device) => {
		const place = seats.get(device) ?? nearestOf(optionsOf(device));
		const contest = contestOf(device, settlement);
		const rest = contest === undefined ? {} : { contest };
		if (place === undefined) return { device: device.id, verdict: "reject", changes: [], obligations: [], ...rest };
		const reasons = reasonsOf(device, place.candidate, place.pool);
		return {
			device: device.id,
			verdict: outcome(reasons),
			candidate: place.candidate.id,
			changes: reasons.filter(({ severity }) => severity === "error").map(changeOf),
			obligations: reasons.filter(({ code }) => REASON_CODES[code] === "obligation").map(changeOf),
			...rest,
		};
	});
}

function changeOf({ code, attribute, source, target, message }: Reason): Change {
	return {
		code,
		...(attribute !== undefined && { attribute }),
		...(source !== undefined && { need: source }),
		...(target !== undefined && { have: target }),
		message,
	};
}

/** Every device that takes part says so, also those that would get what they want if the others did not ask for it. */
function contestOf(device: Device, { contested }: Answer["settlement"]): Contest | undefined {
	const found = contested.find(
		({ device: left, rivals, candidates }) => candidates.length > 0 && (left === device || rivals.includes(device)),
	);
	if (found === undefined) return undefined;
	const candidates = byId(found.candidates.flatMap((pool) => pool.candidates));
	return {
		devices: byId([found.device, ...found.rivals]).map(({ id }) => id),
		candidates: candidates.map(({ id }) => id),
		capacity: capacityOf(candidates),
	};
}
