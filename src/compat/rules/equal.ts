import { normalise } from "../normalise.ts";
import { attributeReason, bothValues, type Pair, show, sourceName, targetName } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason, ReasonCode } from "../reason.ts";

const CODES: Readonly<Record<string, ReasonCode>> = {
	device_api: "device_api.mismatch",
	mdev_type: "type.mismatch",
};

/** The same text on both sides; an attribute that one side lacks is as bad as another text. */
export function equal(pair: Pair, { attribute }: Pick<Rule, "attribute">): readonly Reason[] {
	const values = bothValues(pair, attribute, "equal");
	if (values === undefined) return [];
	if ("reason" in values) return [values.reason];
	if (normalise(attribute, values.source) === normalise(attribute, values.target)) return [];
	const message =
		`${attribute} ${show(values.source)} of ${sourceName(pair)} differs from ` +
		`${show(values.target)} of ${targetName(pair)}`;
	// Attribute names come from hosts: `constructor` must not find what every object has.
	const code = Object.hasOwn(CODES, attribute) ? CODES[attribute] : undefined;
	return [attributeReason(pair, code ?? "attribute.differs", attribute, "equal", message)];
}
