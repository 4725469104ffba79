import { z } from "zod";
import { DEFAULT_POLICY, DIRECTIONS, type Policy, RULE_KINDS } from "../compat/policy.ts";
import { readYaml } from "../yaml.ts";

const Rule = z.strictObject({ attribute: z.string().min(1), kind: z.enum(RULE_KINDS) });

/** The YAML of a policy file; what it leaves out is as in the default policy. `rules` replaces the default rules. */
export const PolicyFile = z.strictObject({
	direction: z.enum(DIRECTIONS).default(DEFAULT_POLICY.direction),
	newer_source: z.enum(["warn", "reject"]).default(DEFAULT_POLICY.newer_source),
	cross_type: z.enum(["warn", "never"]).default(DEFAULT_POLICY.cross_type),
	compatible_type: z.enum(["ignore", "allow"]).default(DEFAULT_POLICY.compatible_type),
	compatible_lists: z.enum(["superset", "exact"]).default(DEFAULT_POLICY.compatible_lists),
	other_attributes: z.enum(["warn", "equal", "ignore"]).default(DEFAULT_POLICY.other_attributes),
	unknown: z.enum(["reject", "accept"]).default(DEFAULT_POLICY.unknown),
	rules: z.array(Rule).default([...DEFAULT_POLICY.rules]),
}) satisfies z.ZodType<Policy>;

/** Reads a policy; throws ConfigError with file:line:column. */
export function readPolicy(file: string): Policy {
	return readYaml(file, PolicyFile, "failsafe");
}
