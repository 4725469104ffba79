import type { Pair } from "../pair.ts";
import type { Rule, RuleKind } from "../policy.ts";
import type { Reason } from "../reason.ts";
import { equal } from "./equal.ts";
import { ignore } from "./ignore.ts";
import { inRange } from "./in-range.ts";
import { info } from "./info.ts";
import { maskEqual } from "./mask-equal.ts";
import { maskSuperset } from "./mask-superset.ts";
import { noneOf } from "./none-of.ts";
import { oneOf } from "./one-of.ts";
import { superset } from "./superset.ts";
import { version } from "./version.ts";

/** The rule kinds of the policy by their names in YAML. */
export const RULES: Readonly<Record<RuleKind, (pair: Pair, rule: Rule) => readonly Reason[]>> = {
	equal,
	version,
	one_of: oneOf,
	none_of: noneOf,
	superset,
	mask_superset: maskSuperset,
	mask_equal: maskEqual,
	in_range: inRange,
	ignore,
	info,
};

/** What the rule finds, as severe as it says at most. */
export function applyRule(pair: Pair, rule: Rule): readonly Reason[] {
	if (rule.severity === "off") return [];
	const found = RULES[rule.kind](pair, rule);
	return rule.severity === "warning" ? found.map((one): Reason => ({ ...one, severity: "warning" })) : found;
}

/** Every attribute that a rule looks at: nothing else has to say anything about them. */
export function attributesOf({ attribute, target, lists = [], settable, min, max, range }: Rule): readonly string[] {
	return [attribute, target, ...lists, settable, min, max, range].filter((name) => name !== undefined);
}
