import type { Pair } from "../pair.ts";
import type { RuleKind } from "../policy.ts";
import type { Reason } from "../reason.ts";
import { equal } from "./equal.ts";
import { ignore } from "./ignore.ts";

/** The rule kinds of the policy by their names in YAML. */
export const RULES: Readonly<Record<RuleKind, (pair: Pair, attribute: string) => readonly Reason[]>> = {
	equal,
	ignore,
};
