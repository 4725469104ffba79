import { componentsOf } from "./components.ts";
import { allows } from "./decision.ts";
import { type DeviceKind, isKnownKind } from "./device.ts";
import { type Matching, match } from "./match.ts";
import type { Policy } from "./policy.ts";
import { outcome, type Reason, type Verdict } from "./reason.ts";

/** How well a device fits something that can take devices, the better the smaller. */
const TIERS = {
	clean: 0,
	with_warnings: 1,
	overridden: 2,
	tolerated: 3,
	conditional: 4,
	unknown: 5,
	impossible: 6,
} as const;

const { clean, with_warnings, overridden, tolerated, conditional, unknown } = TIERS;

/** What it comes to when every device has something of one of these tiers: first what may go on, then what may not and is known. */
const VERDICTS: readonly (readonly [tiers: ReadonlySet<number>, Verdict])[] = [
	[new Set([clean]), "accept"],
	[new Set([clean, with_warnings]), "accept"],
	[new Set([clean, with_warnings, overridden]), "accept"],
	[new Set([clean, with_warnings, overridden, tolerated]), "unknown"],
	[new Set([clean, with_warnings, overridden, conditional]), "conditional"],
	[new Set([clean, with_warnings, overridden, tolerated, conditional, unknown]), "unknown"],
];

const LANDS_ON: Readonly<Record<DeviceKind, readonly string[]>> = {
	pci: ["pci"],
	mdev: ["mdev", "mdev_type"],
	mdev_type: ["mdev_type"],
	vdpa: ["vdpa"],
};

/** The kinds of what a device of this kind can land on. */
export function landsOn(kind: string): readonly string[] {
	return isKnownKind(kind) ? LANDS_ON[kind] : [];
}

/** What a comparison came to. */
export interface Fit {
	readonly reasons: readonly Reason[];
	readonly tier: number;
}

export function fitOf(reasons: readonly Reason[], policy: Policy): Fit {
	if (reasons.length === 0) return { reasons, tier: TIERS.clean };
	// What somebody took upon himself is not as good as what the hosts say.
	const accept = reasons.some(({ code }) => code === "override.used") ? overridden : with_warnings;
	const untold = allows(policy, "unknown", reasons) ? tolerated : unknown;
	return { reasons, tier: { accept, conditional, unknown: untold, reject: TIERS.impossible }[outcome(reasons)] };
}

export function isPossible({ tier }: Fit): boolean {
	return tier < TIERS.impossible;
}

/** Something that can take devices, and how well a certain device fits it. */
export interface Option<C> {
	readonly candidate: C;
	readonly fit: Fit;
	readonly bugfix: number;
}

export interface Settlement<D, C> extends Matching<D, C> {
	readonly verdict: Verdict;
}

/** A device with what it may take, the best first. */
interface Wish<D, C> {
	readonly device: D;
	readonly options: readonly Option<C>[];
}

/** The best first. */
export const VERDICT_ORDER: readonly Verdict[] = ["accept", "conditional", "unknown", "reject"];

/**
 * Gives each device the best that all of them can have: nothing doubtful as long as something certain is left. Devices that want
 * nothing in common do not spoil it for each other. `optionsOf` is asked once per device.
 */
export function settle<D, C extends { readonly capacity: number }>(
	devices: readonly D[],
	optionsOf: (device: D) => readonly Option<C>[],
): Settlement<D, C> {
	const wishes = devices.map((device) => ({
		device,
		options: optionsOf(device)
			.filter(({ fit }) => isPossible(fit))
			.sort(byPreference),
	}));
	const parts = componentsOf(wishes, ({ options }) => options.map(({ candidate }) => candidate)).map(settleTogether);
	const [only, ...others] = parts;
	if (only && others.length === 0) return only;
	return {
		verdict: worst(parts),
		assigned: new Map(parts.flatMap(({ assigned }) => [...assigned])),
		contested: parts.flatMap(({ contested }) => contested),
	};
}

/** Accept when there is nothing at all. */
export function worst(parts: readonly { readonly verdict: Verdict }[]): Verdict {
	return VERDICT_ORDER.findLast((verdict) => parts.some((part) => part.verdict === verdict)) ?? "accept";
}

/** The usual case: nobody is in its way. */
function settleAlone<D, C extends { readonly capacity: number }>({ device, options }: Wish<D, C>): Settlement<D, C> {
	const best = options.find(({ candidate }) => candidate.capacity > 0);
	const [, verdict] = VERDICTS.find(([tiers]) => best !== undefined && tiers.has(best.fit.tier)) ?? [];
	if (best !== undefined && verdict !== undefined)
		return { verdict, assigned: new Map([[device, best.candidate]]), contested: [] };
	const candidates = options.map(({ candidate }) => candidate);
	return { verdict: "reject", assigned: new Map(), contested: [{ device, rivals: [], candidates }] };
}

function settleTogether<D, C extends { readonly capacity: number }>(wishes: readonly Wish<D, C>[]): Settlement<D, C> {
	const [only, ...others] = wishes;
	if (only && others.length === 0) return settleAlone(only);
	const among = (isGood: (tier: number) => boolean) =>
		match(
			wishes.map(({ device, options }) => ({
				device,
				candidates: options.filter(({ fit }) => isGood(fit.tier)).map(({ candidate }) => candidate),
			})),
		);
	const isHopeless = wishes.some(({ options }) => options.length === 0);
	for (const [tiers, verdict] of isHopeless ? [] : VERDICTS) {
		const matching = among((tier) => tiers.has(tier));
		if (matching.contested.length === 0) return { ...matching, verdict };
	}
	return { ...among(() => true), verdict: "reject" };
}

/** The best fit, of equal ones the target with more bugfixes; the order of the options decides the rest. */
function byPreference<C>(a: Option<C>, b: Option<C>): number {
	return a.fit.tier - b.fit.tier || a.fit.reasons.length - b.fit.reasons.length || b.bugfix - a.bugfix;
}
