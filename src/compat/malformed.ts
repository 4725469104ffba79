import { attributeReason, type Pair, show, sourceName, targetName } from "./pair.ts";
import type { Reason } from "./reason.ts";

/** A value that a rule cannot read: nobody vouches for it, so it does not pass. */
export function malformedValue(
	pair: Pair,
	attribute: string,
	side: "source" | "target",
	value: string,
	expected: string,
	rule: string,
): Reason {
	const name = side === "source" ? sourceName(pair) : targetName(pair);
	const message = `${attribute} ${show(value)} of ${name} is not ${expected}`;
	return attributeReason(pair, "attribute.malformed", attribute, rule, message);
}
