import {
	attributeReason,
	bothValues,
	isSaid,
	type Judgement,
	type Pair,
	show,
	sourceName,
	targetName,
} from "../pair.ts";
import type { Reason } from "../reason.ts";

/**
 * Format F4: types with an equal `base_type` and an equal `aggregation_ratio` are compatible, whatever their names.
 * 25 August 2020; its unit was never defined, and the agreement of 26 August went another way, so equality is all.
 */
const RULE = "base-type";
const ATTRIBUTES = ["base_type", "aggregation_ratio"] as const;

export function baseType(pair: Pair): Judgement {
	const values = ATTRIBUTES.map((attribute) => [attribute, bothValues(pair, attribute, RULE)] as const);
	if (values.every(([, value]) => value === undefined)) return { covers: [], reasons: [] };
	const reasons = values.flatMap(([attribute, value]): readonly Reason[] => {
		if (value === undefined) return [];
		if ("reason" in value) return [value.reason];
		if (value.source === value.target) return [];
		const message = `${attribute} ${show(value.source)} of ${sourceName(pair)} differs from ${show(value.target)} of ${targetName(pair)}`;
		return [attributeReason(pair, "attribute.differs", attribute, RULE, message)];
	});
	// Only both together say that the types are the same in all but name.
	const declared = values.every(
		([attribute, value]) => value !== undefined && !("reason" in value) && isSaid(pair, attribute),
	);
	const covers = [...ATTRIBUTES, ...(declared ? ["mdev_type"] : [])];
	return { covers, reasons, idle: !declared && reasons.length === 0 };
}
