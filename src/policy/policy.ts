import { isDeepStrictEqual } from "node:util";
import { expiredText, hasExpired, inForce, overrideText } from "../compat/override.ts";
import { DEFAULT_POLICY, DIRECTIONS, type Policy, type Rule as RuleData } from "../compat/policy.ts";
import { readYaml } from "../yaml.ts";
import { z } from "../zod.ts";
import { DeviceClasses } from "./device-class.ts";
import { Override } from "./override.ts";
import { Rule } from "./rule.ts";
import { Unknown } from "./unknown.ts";

const Rules: z.ZodType<readonly RuleData[]> = z.array(Rule);

/** The YAML of a policy file; what it leaves out is as in the default policy. A list in it replaces the default list. */
export const PolicyFile = z.strictObject({
	direction: z.enum(DIRECTIONS).default(DEFAULT_POLICY.direction),
	newer_source: z.enum(["warn", "reject"]).default(DEFAULT_POLICY.newer_source),
	cross_type: z.enum(["warn", "never"]).default(DEFAULT_POLICY.cross_type),
	compatible_type: z.enum(["ignore", "allow"]).default(DEFAULT_POLICY.compatible_type),
	compatible_lists: z.enum(["superset", "exact"]).default(DEFAULT_POLICY.compatible_lists),
	other_attributes: z.enum(["warn", "equal", "ignore"]).default(DEFAULT_POLICY.other_attributes),
	unknown: Unknown.default({ ...DEFAULT_POLICY.unknown }),
	rules: Rules.default(DEFAULT_POLICY.rules),
	classes: DeviceClasses.default(DEFAULT_POLICY.classes),
	overrides: z.array(Override).default([]),
}) satisfies z.ZodType<Policy>;

/** Reads a policy with all its overrides, also those that have expired; throws ConfigError with file:line:column. */
export function readPolicy(file: string): Policy {
	return readYaml(file, PolicyFile, "failsafe");
}

/**
 * The policy of a file, or the one that is built in, as it is whenever it is asked for: overrides come and go with time.
 * @param note is told of each override: who took what upon himself, or that it has expired already
 */
export function loadPolicy(
	file: string | undefined,
	note: (text: string) => void,
	now: () => number = Date.now,
): () => Policy {
	const policy = file === undefined ? DEFAULT_POLICY : readPolicy(file);
	for (const one of policy.overrides) {
		note(`${file}: ${hasExpired(one, now()) ? `${expiredText(one)} and is ignored` : overrideText(one)}`);
	}
	let current = inForce(policy, now());
	return () => {
		const next = inForce(policy, now());
		// Where nothing has changed it stays the same object, by which the engine remembers what it has compared.
		if (!isDeepStrictEqual(next.overrides, current.overrides)) current = next;
		return current;
	};
}
