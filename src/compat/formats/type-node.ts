import { attributeOf, errnoOf } from "../device.ts";
import { normalise } from "../normalise.ts";
import {
	attributeNames,
	attributeReason,
	isSaid,
	type Judgement,
	type Pair,
	show,
	sourceName,
	targetName,
	unreadableReason,
} from "../pair.ts";
import type { Reason } from "../reason.ts";

/**
 * Formats G0 and G: attributes of the mdev type node. The target's `compatible_<x>` must have everything that the source's
 * has; what `dynamic_resources` names must be the same on both instances, or be set when the target is claimed.
 * Yan Zhao, 26 August and 9 September 2020; the last formal proposal.
 */
const RULE = "type-node";
const PREFIX = "compatible_";
const TYPE = "compatible_type";
const DYNAMIC = "dynamic_resources";
/** What the proposal compares by itself, before any list. */
const EXACT: ReadonlySet<string> = new Set(["device_api", "mdev_type", "software_version"]);

export function typeNode(pair: Pair): Judgement {
	const names = attributeNames(pair);
	const lists = names.filter((name) => name.startsWith(PREFIX) && name !== TYPE);
	const dynamic = names.includes(DYNAMIC);
	const typeAllowed = pair.policy.compatible_type === "allow" && names.includes(TYPE);
	if (lists.length === 0 && !dynamic && !names.includes(TYPE)) return { covers: [], reasons: [] };
	const resources = dynamic ? dynamicNames(pair) : [];
	// Nothing is asked by a list that the target alone has, nor by one without items.
	const isAsked = lists.some(
		(list) => errnoOf(pair.source, list) !== undefined || items(attributeOf(pair.source, list)).size > 0,
	);
	return {
		idle: !isAsked && !(typeAllowed && isSaid(pair, TYPE)) && resources.length === 0,
		covers: [
			...lists,
			...lists.map((list) => list.slice(PREFIX.length)).filter((attribute) => isListed(pair, attribute)),
			TYPE,
			...(dynamic ? [DYNAMIC, ...resources] : []),
			...(typeAllowed ? ["mdev_type"] : []),
		],
		reasons: [
			...lists.flatMap((list) => judgeList(pair, list)),
			...(typeAllowed ? judgeType(pair) : []),
			...(dynamic ? unreadable(pair, DYNAMIC) : []),
			...resources.flatMap((resource) => judgeResource(pair, resource)),
		],
	};
}

/** `attribute`: what they are values of. */
function items(text: string | undefined, attribute = ""): ReadonlySet<string> {
	return new Set(
		(text ?? "")
			.split(",")
			.map((item) => normalise(attribute, item.trim().toLowerCase()))
			.filter((item) => item !== ""),
	);
}

/** Both sides have a list about the attribute, and the target's has what the source has of it. */
function isListed(pair: Pair, attribute: string): boolean {
	const [value, ours, theirs] = [
		attributeOf(pair.source, attribute),
		attributeOf(pair.source, PREFIX + attribute),
		attributeOf(pair.target, PREFIX + attribute),
	];
	if (EXACT.has(attribute) || value === undefined || ours === undefined) return false;
	return items(theirs, attribute).has(normalise(attribute, value.trim().toLowerCase()));
}

function unreadable(pair: Pair, attribute: string): readonly Reason[] {
	const found =
		unreadableReason(pair, pair.source, attribute, RULE) ?? unreadableReason(pair, pair.target, attribute, RULE);
	return found ? [found] : [];
}

function judgeList(pair: Pair, list: string): readonly Reason[] {
	const errors = unreadable(pair, list);
	if (errors.length > 0) return errors;
	const source = attributeOf(pair.source, list);
	const target = attributeOf(pair.target, list);
	if (source === undefined) {
		const message = `only ${targetName(pair)} has ${list}; nothing is asked of it`;
		return [attributeReason(pair, "attribute.only_on_target", list, RULE, message)];
	}
	if (target === undefined) {
		const message = `${targetName(pair)} has no ${list}; ${sourceName(pair)} has ${show(source)}`;
		return [attributeReason(pair, "attribute.missing_target", list, RULE, message)];
	}
	const attribute = list.slice(PREFIX.length);
	const [needed, offered] = [items(source, attribute), items(target, attribute)];
	const missing = [...needed].filter((item) => !offered.has(item));
	const surplus = pair.policy.compatible_lists === "exact" ? [...offered].filter((item) => !needed.has(item)) : [];
	if (missing.length === 0 && surplus.length === 0) return [];
	const what = missing.length > 0 ? `lacks ${missing.join(", ")}` : `has ${surplus.join(", ")} too`;
	const message = `${list} of ${targetName(pair)} ${what} (${show(target)}); ${sourceName(pair)} has ${show(source)}`;
	return [attributeReason(pair, "set.not_superset", list, RULE, message)];
}

/** 26 August, steps 2 and 3: the target's type is in the source's list, or the target's list has all of the source's. */
function judgeType(pair: Pair): readonly Reason[] {
	const errors = [...unreadable(pair, TYPE), ...unreadable(pair, "mdev_type")];
	if (errors.length > 0) return errors;
	const [sourceType, targetType] = [attributeOf(pair.source, "mdev_type"), attributeOf(pair.target, "mdev_type")];
	if (sourceType === targetType) return [];
	const [needed, offered] = [items(attributeOf(pair.source, TYPE)), items(attributeOf(pair.target, TYPE))];
	const named = needed.has((targetType ?? "").toLowerCase());
	const superset = needed.size > 0 && [...needed].every((item) => offered.has(item));
	if (named || superset) return [];
	const message = `mdev_type ${show(targetType ?? "")} of ${targetName(pair)} is not among the types that ${sourceName(pair)} is compatible with (${[...needed].join(", ") || "none"})`;
	const beside = { source: [TYPE], target: [TYPE] };
	return [attributeReason(pair, "type.mismatch", "mdev_type", RULE, message, { beside })];
}

function dynamicNames(pair: Pair): readonly string[] {
	return [...new Set([...items(attributeOf(pair.source, DYNAMIC)), ...items(attributeOf(pair.target, DYNAMIC))])];
}

/** What must be the same on both instances: if it is not, it must be set when the target is claimed (9 September). */
function judgeResource(pair: Pair, resource: string): readonly Reason[] {
	const errors = unreadable(pair, resource);
	if (errors.length > 0) return errors;
	const beside = { source: [DYNAMIC], target: [DYNAMIC] };
	const source = attributeOf(pair.source, resource);
	const target = attributeOf(pair.target, resource);
	if (source === undefined) {
		if (pair.source.kind === "mdev_type") return [];
		const message = `${sourceName(pair)} has no ${resource}, which its or the target's ${DYNAMIC} names`;
		return [attributeReason(pair, "attribute.missing_source", resource, RULE, message, { beside })];
	}
	if (source === target) return [];
	const settable = items(attributeOf(pair.target, DYNAMIC)).has(resource) || target !== undefined;
	if (!settable) {
		const message = `${resource} ${show(source)} of ${sourceName(pair)} cannot be set on ${targetName(pair)}, which does not know it`;
		return [attributeReason(pair, "dynamic.not_settable", resource, RULE, message, { beside })];
	}
	const has = target === undefined ? "" : ` (it has ${show(target)})`;
	const message = `set ${resource}=${source} when claiming ${targetName(pair)}${has}`;
	return [attributeReason(pair, "dynamic.set", resource, RULE, message, { beside })];
}
