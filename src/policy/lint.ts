import { readFileSync } from "node:fs";
import { fits, fitsOne } from "../compat/device-class.ts";
import { isHexadecimal, normalise } from "../compat/normalise.ts";
import { expiredText, hasExpired } from "../compat/override.ts";
import type { DeviceClass, Policy, Rule, UnknownPolicy } from "../compat/policy.ts";
import { isClosed, readYamlWithPlaces } from "../yaml.ts";
import { PolicyFile } from "./policy.ts";

type Path = readonly PropertyKey[];

/** Something in a policy that is allowed and hardly meant. */
interface Finding {
	readonly path: Path;
	readonly message: string;
}

/** What is odd about a policy file, each as `file:line:column: ...`; throws ConfigError when the file is no policy at all. */
export function lintPolicy(file: string, now: number): readonly string[] {
	const { value: policy, placeOf } = readYamlWithPlaces(file, PolicyFile, "failsafe");
	const { rules, classes } = policy;
	const findings = [
		...duplicateRules(rules, ["rules"]),
		...unfiredRules(rules, ["rules"]),
		...strangeValues(rules, ["rules"]),
		...acceptedStale(policy.unknown, ["unknown"]),
		...classes.flatMap((one, index) => [
			...unreachable(one, classes.slice(0, index), index),
			...duplicateRules(one.rules, ["classes", index, "rules"]),
			...unfiredRules(one.rules, ["classes", index, "rules"], one),
			...strangeValues(one.rules, ["classes", index, "rules"]),
			...Object.entries(one.match).flatMap(([name, patterns]) =>
				strangeIds(name, patterns, ["classes", index, "match", name]),
			),
			...acceptedStale(one.unknown ?? {}, ["classes", index, "unknown"]),
		]),
		...expired(policy, now),
	];
	return [...findings.map(({ path, message }) => `${placeOf(path)}: ${message}`), ...open(file)];
}

/** Cut at the end of a line, it would be a policy all the same. */
function open(file: string): readonly string[] {
	const text = readFileSync(file, "utf8");
	if (isClosed(text)) return [];
	return [
		`${file}:${text.split("\n").length}:1: no "..." at the end: a reload cannot tell when this file is half written`,
	];
}

function duplicateRules(rules: readonly Rule[], path: Path): readonly Finding[] {
	return rules.flatMap(({ attribute }, index) => {
		const first = rules.findIndex((rule) => rule.attribute === attribute);
		if (first === index) return [];
		return [{ path: [...path, index], message: `there is a rule for ${attribute} before: both are applied` }];
	});
}

/** Attributes that a format judges wherever they are there, so that the policy is never asked. */
const DECLARATIONS = [
	"software_version",
	"interface_version",
	"migration_version",
	"migration_compatible",
	"base_type",
	"aggregation_ratio",
	"compatible_*",
	"*_compatible",
	"migration/*",
];

function unfiredRules(rules: readonly Rule[], path: Path, { match }: Partial<DeviceClass> = {}): readonly Finding[] {
	return rules.flatMap(({ attribute, kind }, index): readonly Finding[] => {
		const at = [...path, index];
		// A field of a text block is ignored by a rule (D8), whoever judges the attribute elsewhere.
		if (kind !== "ignore" && DECLARATIONS.some((pattern) => fits(pattern, attribute))) {
			return [{ path: at, message: `the rule can never fire: ${attribute} is judged as the device's own declaration` }];
		}
		const kinds = match?.["kind"] ?? ["mdev"];
		if (attribute !== "mdev_type" || kinds.some((one) => one.startsWith("mdev"))) return [];
		return [{ path: at, message: "the rule can never fire: only mdevs have an mdev_type" }];
	});
}

function strangeValues(rules: readonly Rule[], path: Path): readonly Finding[] {
	return rules.flatMap(({ attribute, values = [] }, index) =>
		strangeIds(attribute, values, [...path, index, "values"]),
	);
}

/** Names in the place of ids: the kernel has none. */
function strangeIds(attribute: string, ids: readonly string[], path: Path): readonly Finding[] {
	if (!isHexadecimal(attribute)) return [];
	return ids.flatMap((id, index) => {
		if (/^[0-9a-f*]+$/.test(normalise(attribute, id))) return [];
		const message = `no device has ${attribute} ${JSON.stringify(id)}: expected hexadecimal digits, as 10de or 10d*`;
		return [{ path: [...path, index], message }];
	});
}

/** A policy of before this was so: it is read all the same, or a service would not start with it. */
function acceptedStale(unknown: UnknownPolicy, path: Path): readonly Finding[] {
	return ["snapshot.stale", "snapshot.*"].flatMap((key) => {
		if (!Object.hasOwn(unknown, key) || unknown[key] !== "accept") return [];
		const message = `${key} is read as reject: an agent that is stuck is never accepted; expected reject or accept_stale`;
		return [{ path: [...path, key], message }];
	});
}

/** A class that an earlier one leaves nothing to: whatever matches it matches that one. */
function unreachable({ match: later }: DeviceClass, before: readonly DeviceClass[], index: number): readonly Finding[] {
	const earlier = before.find(({ match }) =>
		Object.entries(match).every(([name, patterns]) => {
			const narrower = Object.hasOwn(later, name) ? later[name] : undefined;
			// A pattern that fits another pattern's text fits all that the other one fits.
			return narrower?.every((pattern) => fitsOne(name, pattern, patterns));
		}),
	);
	if (earlier === undefined) return [];
	const message = `the class is unreachable: ${JSON.stringify(earlier.name)} before it matches the same devices`;
	return [{ path: ["classes", index, "name"], message }];
}

function expired({ overrides }: Policy, now: number): readonly Finding[] {
	return overrides.flatMap((one, index) => {
		if (!hasExpired(one, now)) return [];
		return [{ path: ["overrides", index], message: `${expiredText(one)}: remove it` }];
	});
}
