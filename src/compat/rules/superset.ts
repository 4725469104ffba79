import { missingItems, parseSet } from "../attribute-sets.ts";
import { attributeOf } from "../device.ts";
import { attributeReason, type Pair, show, sourceName, targetName, unreadableReason, usedAndOffered } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** The target has all that the source has; an absent set is an empty one. Yan Zhao and Jason Wang, 19 and 20 August 2020. */
export function superset(pair: Pair, { attribute, target = attribute, compare }: Rule): readonly Reason[] {
	const values = usedAndOffered(pair, attribute, target, "superset");
	if (values === undefined)
		return compare === "exact" ? notEmpty(pair, attribute, target) : surplus(pair, attribute, target);
	if ("reason" in values) {
		const isEmpty = parseSet(attributeOf(pair.source, attribute) ?? "").size === 0;
		return values.reason.code === "attribute.missing_target" && isEmpty ? [] : [values.reason];
	}
	const [needed, offered] = [parseSet(values.source), parseSet(values.target)];
	const missing = missingItems(needed, offered);
	const extra = compare === "exact" ? missingItems(offered, needed) : [];
	if (missing.length === 0 && extra.length === 0) return [];
	const what = missing.length > 0 ? `lacks ${missing.join(", ")}` : `has ${extra.join(", ")} too`;
	const message =
		`${target} ${show(values.target)} of ${targetName(pair)} ${what}; ` +
		`${sourceName(pair)} has ${attribute} ${show(values.source)}`;
	return [
		attributeReason(pair, "set.not_superset", attribute, "superset", message, {
			target: values.target,
			beside: { target: [target] },
		}),
	];
}

function surplus(pair: Pair, attribute: string, target: string): readonly Reason[] {
	if (attribute !== target || attributeOf(pair.target, attribute) === undefined) return [];
	const message = `only ${targetName(pair)} has ${attribute}; nothing is asked of it`;
	return [attributeReason(pair, "attribute.only_on_target", attribute, "superset", message)];
}

/** Of two sets that must be the same, the source's is empty. */
function notEmpty(pair: Pair, attribute: string, target: string): readonly Reason[] {
	const unreadable = unreadableReason(pair, pair.target, target, "superset");
	if (unreadable) return [unreadable];
	const offered = attributeOf(pair.target, target) ?? "";
	if (parseSet(offered).size === 0) return [];
	const message = `${target} ${show(offered)} of ${targetName(pair)} has ${[...parseSet(offered)].join(", ")} too; ${sourceName(pair)} has no ${attribute}`;
	const details = { target: offered, beside: { target: [target] } };
	return [attributeReason(pair, "set.not_superset", attribute, "superset", message, details)];
}
