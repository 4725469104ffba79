import { MASK_FORM, parseMask } from "../attribute-sets.ts";
import { malformedValue } from "../malformed.ts";
import { attributeReason, bothValues, type Pair, show, sourceName, targetName } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** The same bits on both sides, however they are written: 0x0f, 0xF and 15 are one mask. */
export function maskEqual(pair: Pair, { attribute }: Rule): readonly Reason[] {
	const values = bothValues(pair, attribute, "mask_equal");
	if (values === undefined) return [];
	if ("reason" in values) return [values.reason];
	const [source, target] = [parseMask(values.source), parseMask(values.target)];
	if (source === undefined) return [malformedValue(pair, attribute, "source", values.source, MASK_FORM, "mask_equal")];
	if (target === undefined) return [malformedValue(pair, attribute, "target", values.target, MASK_FORM, "mask_equal")];
	if (source === target) return [];
	const message =
		`${attribute} ${show(values.source)} of ${sourceName(pair)} differs from ` +
		`${show(values.target)} of ${targetName(pair)}`;
	return [attributeReason(pair, "attribute.differs", attribute, "mask_equal", message)];
}
