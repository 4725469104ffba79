import type { Override, Policy } from "./policy.ts";
import { type Reason, reason } from "./reason.ts";
import { familyOf, TAMPERING } from "./unknown.ts";

/** Nothing that could be overridden: there is no device, or no question, or it was not looked at; or somebody may be lying. */
const FINAL: ReadonlySet<string> = new Set([
	...TAMPERING,
	"candidate.none",
	"capacity.exhausted",
	"request.invalid",
	"request.rate_limited",
]);

export function isOverridable(code: string): boolean {
	return !FINAL.has(code);
}

/** The policy as it is at a time (milliseconds since 1970): without the overrides that have expired or not begun. */
export function inForce(policy: Policy, now: number): Policy {
	const overrides = policy.overrides.filter((one) => Date.parse(one.created) <= now && !hasExpired(one, now));
	return overrides.length === policy.overrides.length ? policy : { ...policy, overrides };
}

export function hasExpired({ expires }: Override, now: number): boolean {
	return Date.parse(expires) <= now;
}

export function expiredText({ author, expires }: Override): string {
	return `the override of ${author} has expired (${expires})`;
}

/** Who took what upon himself, where, from when until when, and why. */
export function overrideText({ author, created, expires, scope, reason: why }: Override): string {
	const where = Object.entries(scope).map(([name, value]) => `${name} ${value}`);
	return `${author} overrides errors of ${where.join(", ")} from ${created} until ${expires}: ${why}`;
}

/** Where an override must apply. */
interface Place {
	readonly source_host: string;
	readonly target_host: string;
	/** Left out where the question is not about one device: an override for one device does not apply there. */
	readonly device?: string;
}

export function overridesFor(overrides: readonly Override[], place: Place): readonly Override[] {
	return overrides.filter(({ scope }) =>
		(["source_host", "target_host", "device"] as const).every(
			(name) => scope[name] === undefined || scope[name] === place[name],
		),
	);
}

/** Turns the errors within the scope of an override into warnings, and says so: nothing is overridden in silence. */
export function override(reasons: readonly Reason[], overrides: readonly Override[]): readonly Reason[] {
	const used = new Map<Override, Use>();
	const left = reasons.map((found): Reason => {
		const applied = overrides.find((candidate) => covers(candidate, found));
		if (applied === undefined) return found;
		const { first, codes } = used.get(applied) ?? { first: found, codes: [] };
		used.set(applied, { first, codes: [...codes, found.code] });
		return { ...found, severity: "warning" };
	});
	return [...left, ...[...used].map(([applied, use]) => usedReason(applied, use))];
}

/** What an override was used for: the first reason that it turned, and the codes of all of them. */
interface Use {
	readonly first: Reason;
	readonly codes: readonly string[];
}

function covers({ scope }: Override, { code, severity }: Reason): boolean {
	const named = scope.code === undefined || scope.code === code || scope.code === familyOf(code);
	return severity === "error" && named && isOverridable(code);
}

function usedReason({ author, reason: why, expires }: Override, { first, codes }: Use): Reason {
	const message = `${author} overrides ${[...new Set(codes)].join(", ")} until ${expires}: ${why}`;
	const { device, candidate, device_class } = first;
	return reason("override.used", "override", message, {
		...(device && { device }),
		...(candidate && { candidate }),
		...(device_class && { device_class }),
	});
}
