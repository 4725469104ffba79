import { type IntRange, inIntRange, parseInteger, parseIntRange } from "../attribute-sets.ts";
import { malformedValue } from "../malformed.ts";
import { attributeReason, type Pair, show, sourceName, targetName, usedAndOffered } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";

/** The source's integer is within the target's bounds, both included; NVML's `hostSupportedVgpuRange` is read so. */
export function inRange(pair: Pair, { attribute, min, max, range }: Rule): readonly Reason[] {
	for (const [end, name] of [
		["min", min],
		["max", max],
		["range", range],
	] as const) {
		if (name === undefined) continue;
		const values = usedAndOffered(pair, attribute, name, "in_range");
		if (values === undefined) return [];
		if ("reason" in values) return [values.reason];
		const bound = parseBound(end, values.target);
		if (bound === undefined) {
			const expected = end === "range" ? "a range min-max" : "an integer";
			return [malformedValue(pair, name, "target", values.target, expected, "in_range")];
		}
		const value = parseInteger(values.source);
		if (value === undefined) {
			return [malformedValue(pair, attribute, "source", values.source, "an integer", "in_range")];
		}
		if (inIntRange(value, bound)) continue;
		const is = { min: "is less than", max: "is more than", range: "is not within" }[end];
		const message =
			`${attribute} ${show(values.source)} of ${sourceName(pair)} ${is} ` +
			`${name} ${show(values.target)} of ${targetName(pair)}`;
		return [
			attributeReason(pair, "attribute.out_of_range", attribute, "in_range", message, {
				target: values.target,
				beside: { target: [name] },
			}),
		];
	}
	return [];
}

function parseBound(end: "min" | "max" | "range", text: string): IntRange | undefined {
	if (end === "range") return parseIntRange(text);
	const bound = parseInteger(text);
	return bound === undefined ? undefined : { [end]: bound };
}
