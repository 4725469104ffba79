import { attributeOf, errnoOf } from "../device.ts";
import { normalise } from "../normalise.ts";
import { attributeReason, type Pair, show, sourceName, targetName } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** Different values are worth knowing and decide nothing, nor does a value that one side lacks or cannot show. */
export function info(pair: Pair, { attribute }: Rule): readonly Reason[] {
	const [source, target] = [pair.source, pair.target].map((device) => {
		const value = attributeOf(device, attribute);
		if (value !== undefined) return { text: normalise(attribute, value), shown: show(value) };
		return { text: undefined, shown: errnoOf(device, attribute) ?? "nothing" };
	});
	if (source?.text === target?.text) return [];
	const message = `${attribute}: ${sourceName(pair)} has ${source?.shown}, ${targetName(pair)} has ${target?.shown}`;
	return [attributeReason(pair, "attribute.info", attribute, "info", message)];
}
