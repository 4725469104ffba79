import { FORMATS } from "./formats/index.ts";
import {
	attributeNames,
	attributeReason,
	bothValues,
	type Pair,
	show,
	sourceName,
	targetName,
	unreadableReason,
} from "./pair.ts";
import { type Reason, ranked, reason } from "./reason.ts";
import { equal } from "./rules/equal.ts";
import { applyRule, attributesOf } from "./rules/index.ts";

/** Whether this device can continue as that candidate: every reason, without stopping at the first. */
export function compare(pair: Pair): readonly Reason[] {
	const { covered, reasons, isDeclared } = declarations(pair);
	if (!isDeclared) reasons.push(...undeclared(pair));
	reasons.push(...crossType(pair, covered));
	for (const attribute of pair.doubtful ?? []) {
		const isTold = reasons.some((one) => one.code === "attribute.unreadable" && one.attribute === attribute);
		const doubt = isTold ? undefined : unreadableReason(pair, pair.source, attribute, "class");
		if (doubt) reasons.push(doubt);
		covered.add(attribute);
	}
	const ruled = new Set<string>();
	for (const rule of pair.policy.rules) {
		for (const attribute of attributesOf(rule)) ruled.add(attribute);
		if (!covered.has(rule.attribute)) reasons.push(...applyRule(pair, rule));
	}
	reasons.push(...others(pair, (attribute) => !covered.has(attribute) && !ruled.has(attribute)));
	const { device_class } = pair;
	return ranked(device_class ? reasons.map((one) => ({ ...one, device_class: device_class.name })) : reasons);
}

/** Attributes with a rule of the policy that steps aside: what the devices declare judges them. */
export function judgedByDeclaration(pair: Pair): readonly string[] {
	const { covered } = declarations(pair);
	const ruled = new Set(pair.policy.rules.map(({ attribute }) => attribute));
	return [...ruled].filter((attribute) => covered.has(attribute));
}

interface Declarations {
	/** Attributes that are judged, and those that say how. */
	readonly covered: Set<string>;
	readonly reasons: Reason[];
	readonly isDeclared: boolean;
}

function declarations(pair: Pair): Declarations {
	const covered = new Set<string>();
	const reasons: Reason[] = [];
	let isDeclared = false;
	for (const format of FORMATS) {
		const judgement = format(pair, covered);
		for (const attribute of judgement.covers) covered.add(attribute);
		reasons.push(...judgement.reasons);
		isDeclared ||= judgement.covers.length > 0 && !judgement.idle;
	}
	return { covered, reasons, isDeclared };
}

/** A device's own declaration goes before what its class is known for; without either, nobody can tell. */
function undeclared(pair: Pair): readonly Reason[] {
	const { device_class } = pair;
	const devices = { device: pair.source.id, candidate: pair.target.id };
	if (device_class?.refuse) {
		const message = `${sourceName(pair)} (${device_class.name}): ${device_class.refuse.message}`;
		return [reason("class.refused", device_class.name, message, devices)];
	}
	if (device_class?.migration === "known") return [];
	const message =
		`neither ${sourceName(pair)} nor ${targetName(pair)} declares what it can migrate ` +
		"(software_version, interface_version or a list <attribute>_compatible)";
	return [reason("declaration.none", "compare", message, devices)];
}

/** Nova pairs equal type names only, so a declaration that accepts another type deserves a word. */
function crossType(pair: Pair, covered: ReadonlySet<string>): readonly Reason[] {
	const types = covered.has("mdev_type") ? bothValues(pair, "mdev_type", "compare") : undefined;
	if (types === undefined) return [];
	const isForbidden = pair.policy.cross_type === "never";
	if ("reason" in types) return isForbidden ? [types.reason] : [];
	const { source, target } = types;
	if (source === target) return [];
	const message = `mdev_type ${show(source)} becomes ${show(target)} on ${targetName(pair)}; Nova pairs equal types only`;
	const severity = isForbidden ? "error" : "warning";
	return [attributeReason(pair, "type.cross_type", "mdev_type", "compare", message, { severity })];
}

/** Attributes that no declaration and no rule names: a difference is worth a warning, unless the policy says otherwise. */
function others(pair: Pair, isOther: (attribute: string) => boolean): readonly Reason[] {
	const { other_attributes } = pair.policy;
	if (other_attributes === "ignore") return [];
	const differences = attributeNames(pair)
		.filter(isOther)
		.flatMap((attribute) => equal(pair, { attribute }));
	if (other_attributes === "equal") return differences;
	return differences.map((difference) => ({
		...difference,
		severity: "warning",
		code: difference.code === "attribute.missing_source" ? "attribute.only_on_target" : difference.code,
	}));
}
