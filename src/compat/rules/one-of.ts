import { hasAttribute } from "../device.ts";
import { isAmong } from "../normalise.ts";
import { attributeReason, bothValues, type Pair, show, sourceName, targetName, usedAndOffered } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/**
 * The source's value is in a list of the target's; or, with `values`, both sides have one of them. Items are separated by
 * comma, semicolon or line, `A2+B2` is one item. Yan Zhao, 20 August 2020.
 */
export function oneOf(pair: Pair, { attribute, values, lists = [attribute], settable }: Rule): readonly Reason[] {
	return values === undefined ? inList(pair, attribute, lists, settable) : amongValues(pair, attribute, values);
}

/** The first list that the target has counts: what a VF is set up as, before what it can be set up as, which somebody must do. */
function inList(
	pair: Pair,
	attribute: string,
	lists: readonly string[],
	settable: string | undefined,
): readonly Reason[] {
	const { target } = pair;
	const all = [...lists, ...(settable === undefined ? [] : [settable])];
	const list = all.find((name) => hasAttribute(target, name)) ?? all.join(" or ");
	const found = usedAndOffered(pair, attribute, list, "one_of");
	if (found === undefined) return [];
	if ("reason" in found) return [found.reason];
	if (isAmong(attribute, found.source, found.target.split(/[,;\n]/))) {
		if (list !== settable) return [];
		const message = `set ${attribute}=${found.source.trim()} on ${targetName(pair)} before the migration`;
		return [attributeReason(pair, "dynamic.set", attribute, "one_of", message, { beside: { target: [list] } })];
	}
	const message = `${attribute} ${show(found.source)} of ${sourceName(pair)} is not in ${list} of ${targetName(pair)} (${show(found.target)})`;
	return [
		attributeReason(pair, "attribute.not_in_list", attribute, "one_of", message, {
			target: found.target,
			beside: { target: [list] },
		}),
	];
}

function amongValues(pair: Pair, attribute: string, values: readonly string[]): readonly Reason[] {
	const found = bothValues(pair, attribute, "one_of");
	if (found === undefined) return [];
	if ("reason" in found) return [found.reason];
	const expected = values.length === 1 ? values.join() : `one of ${values.join(", ")}`;
	return (["source", "target"] as const)
		.filter((side) => !isAmong(attribute, found[side], values))
		.map((side) => {
			const name = side === "source" ? sourceName(pair) : targetName(pair);
			const message = `${attribute} ${show(found[side])} of ${name} must be ${expected}`;
			return attributeReason(pair, "attribute.not_in_list", attribute, "one_of", message);
		});
}
