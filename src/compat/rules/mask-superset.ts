import { MASK_FORM, missingBits, parseMask, showMask } from "../attribute-sets.ts";
import { malformedValue } from "../malformed.ts";
import { attributeReason, bothValues, type Pair, show, sourceName, targetName, usedAndOffered } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** The target has every bit that the source has: `(source | target) == target`, as drivers compare capability masks. */
export function maskSuperset(pair: Pair, { attribute, target = attribute }: Rule): readonly Reason[] {
	const values =
		target === attribute
			? bothValues(pair, attribute, "mask_superset")
			: usedAndOffered(pair, attribute, target, "mask_superset");
	if (values === undefined) return [];
	if ("reason" in values) return [values.reason];
	const [needed, offered] = [parseMask(values.source), parseMask(values.target)];
	if (needed === undefined)
		return [malformedValue(pair, attribute, "source", values.source, MASK_FORM, "mask_superset")];
	if (offered === undefined) return [malformedValue(pair, target, "target", values.target, MASK_FORM, "mask_superset")];
	const missing = missingBits(needed, offered);
	if (missing === 0n) return [];
	const message =
		`${target} ${show(values.target)} of ${targetName(pair)} lacks ${show(showMask(missing))}; ` +
		`${sourceName(pair)} has ${attribute} ${show(values.source)}`;
	return [
		attributeReason(pair, "mask.not_superset", attribute, "mask_superset", message, {
			target: values.target,
			beside: { target: [target] },
		}),
	];
}
