import { compare } from "./compare.ts";
import type { Candidate, Device, DeviceKind } from "./device.ts";
import { type Choice, match } from "./match.ts";
import type { Policy } from "./policy.ts";
import { outcome, type Reason, ranked, reason, type Verdict } from "./reason.ts";

/** The answer to Nova's question; everything that a person or Nova can see is a rendering of it. */
export interface Decision {
	readonly verdict: Verdict;
	/** The verdict after the policy: the only thing that Nova's hook looks at. */
	readonly allowed: boolean;
	/** Device id -> candidate id, the shape of Nova's `target_mdevs`; empty unless every device has a candidate. */
	readonly mapping: Readonly<Record<string, string>>;
	/** Errors first, then warnings; every one of them. */
	readonly reasons: readonly Reason[];
}

/** One device against one candidate. */
export interface Comparison {
	readonly device: string;
	readonly candidate: string;
	readonly reasons: readonly Reason[];
}

/** A decision with every pair that was looked at, for people. */
export interface ExplainedDecision extends Decision {
	readonly comparisons: readonly Comparison[];
}

export interface Question {
	readonly source_host: string;
	readonly target_host: string;
	/** The devices that must continue, and what the target host has free. */
	readonly devices: readonly Device[];
	readonly candidates: readonly Candidate[];
	readonly policy: Policy;
}

/** An edge of the matching: a candidate, what speaks against it, and how good it is. */
interface Option {
	readonly candidate: Candidate;
	readonly reasons: readonly Reason[];
	readonly tier: number;
}

const TIERS = { clean: 0, with_warnings: 1, conditional: 2, unknown: 3, impossible: 4 } as const;

/** What a device of each kind can land on. */
const LANDS_ON: Readonly<Record<DeviceKind, readonly DeviceKind[]>> = {
	pci: ["pci"],
	mdev: ["mdev", "mdev_type"],
	mdev_type: ["mdev_type"],
};

/** Whether these devices, described by these attributes, can continue on that host. Pure: same question, same answer. */
export function decide(question: Question): ExplainedDecision {
	const devices = byId(question.devices);
	const options = new Map(devices.map((device) => [device, optionsOf(device, question)]));
	const comparisons = devices.flatMap((device) =>
		(options.get(device) ?? []).map(({ candidate, reasons }) => ({
			device: device.id,
			candidate: candidate.id,
			reasons,
		})),
	);
	/** The options of a device that are at least this good, the best first. */
	const upTo = (tier: number): readonly Choice<Device, Candidate>[] =>
		devices.map((device) => {
			const good = (options.get(device) ?? []).filter((option) => option.tier <= tier);
			return { device, candidates: good.sort(byPreference).map(({ candidate }) => candidate) };
		});

	for (const tier of [TIERS.clean, TIERS.with_warnings, TIERS.conditional, TIERS.unknown]) {
		const { assigned, contested } = match(upTo(tier));
		if (contested.length > 0) continue;
		const mapping = Object.fromEntries(devices.map((device) => [device.id, assigned.get(device)?.id ?? ""]));
		const reasons = comparisons
			.filter(({ device, candidate }) => mapping[device] === candidate)
			.flatMap((c) => c.reasons);
		const verdict = tier === TIERS.unknown ? "unknown" : tier === TIERS.conditional ? "conditional" : "accept";
		return { ...conclude(verdict, reasons, question.policy, mapping), comparisons };
	}

	const { contested } = match(upTo(TIERS.unknown));
	const reasons = contested.flatMap(({ device, rivals, candidates }) =>
		candidates.length > 0
			? [exhausted(question, device, rivals, candidates)]
			: nearest(question, device, options.get(device) ?? []),
	);
	return { ...conclude("reject", reasons, question.policy), comparisons };
}

/**
 * A decision from its verdict and reasons: the policy says what an unknown verdict means for Nova. A conditional one is not
 * allowed, because Nova itself provisions nothing: whoever does may ask again afterwards.
 */
export function conclude(
	verdict: Verdict,
	reasons: readonly Reason[],
	policy: Policy,
	mapping: Decision["mapping"] = {},
): Decision {
	const allowed = verdict === "accept" || (verdict === "unknown" && policy.unknown === "accept");
	return { verdict, allowed, mapping, reasons: ranked(reasons) };
}

function optionsOf(device: Device, { candidates, source_host, target_host, policy }: Question): readonly Option[] {
	const possible = candidates.filter(({ kind }) => LANDS_ON[device.kind].includes(kind));
	return byId(possible).map((candidate) => {
		const reasons = compare({ source: device, target: candidate, source_host, target_host, policy });
		return { candidate, reasons, tier: tierOf(reasons) };
	});
}

function tierOf(reasons: readonly Reason[]): number {
	if (reasons.length === 0) return TIERS.clean;
	const { with_warnings: accept, conditional, unknown, impossible: reject } = TIERS;
	return { accept, conditional, unknown, reject }[outcome(reasons)];
}

function byPreference(a: Option, b: Option): number {
	return a.tier - b.tier || a.reasons.length - b.reasons.length;
}

function byId<T extends Device>(devices: readonly T[]): readonly T[] {
	return [...devices].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}

/** Why the device that comes closest does not do; a host that has nothing of the kind says so. */
function nearest({ target_host }: Question, device: Device, options: readonly Option[]): readonly Reason[] {
	const errors = ({ reasons }: Option) => reasons.filter(({ severity }) => severity === "error").length;
	const [closest] = [...options].sort((a, b) => errors(a) - errors(b) || a.reasons.length - b.reasons.length);
	if (closest) return closest.reasons;
	const wanted = LANDS_ON[device.kind].join(" or ");
	const message = `${target_host} has no free ${wanted} for ${device.id}`;
	return [reason("candidate.none", "match", message, { device: device.id })];
}

function exhausted(
	{ target_host }: Question,
	device: Device,
	rivals: readonly Device[],
	full: readonly Candidate[],
): Reason {
	const capacity = full.reduce((sum, candidate) => sum + candidate.capacity, 0);
	const names = full.map(({ id }) => id).join(", ");
	const all = byId([device, ...rivals]).map(({ id }) => id);
	const demand = all.length === 1 ? `${all.join()} needs` : `${all.length} devices (${all.join(", ")}) compete for`;
	const message = `${demand} ${target_host} ${names}, of which ${capacity} ${capacity === 1 ? "is" : "are"} free`;
	const candidate = full.length === 1 ? full[0]?.id : undefined;
	return reason("capacity.exhausted", "match", message, { device: device.id, ...(candidate && { candidate }) });
}
