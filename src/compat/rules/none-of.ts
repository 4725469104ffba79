import { attributeOf } from "../device.ts";
import { isAmong } from "../normalise.ts";
import { attributeReason, type Pair, show, sourceName, targetName, unreadableReason } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** Neither side has one of the values, whatever the other one has: what can be told of some hosts only, and rules a device out. */
export function noneOf(pair: Pair, { attribute, values = [] }: Rule): readonly Reason[] {
	return (["source", "target"] as const).flatMap((side) => {
		const device = pair[side];
		const unreadable = unreadableReason(pair, device, attribute, "none_of");
		if (unreadable) return [unreadable];
		const value = attributeOf(device, attribute);
		if (value === undefined || !isAmong(attribute, value, values)) return [];
		const name = side === "source" ? sourceName(pair) : targetName(pair);
		const message = `${attribute} ${show(value)} of ${name} is refused: no device with it can migrate`;
		return [attributeReason(pair, "attribute.refused", attribute, "none_of", message)];
	});
}
