import { attributeOf, hasAttribute, says } from "../device.ts";
import { isAmong } from "../normalise.ts";
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
import { inRanges, isMalformed, parseRanges, spansMajors } from "../range.ts";
import type { Reason, ReasonCode, Severity } from "../reason.ts";
import { compareVersions, parseVersion } from "../version.ts";

/**
 * Format E: one value a file, and beside `<attribute>` a file `<attribute>_compatible` that lists the accepted values;
 * versions and ranges of versions where the attribute is a version, plain tokens elsewhere.
 * Cornelia Huck, 4 August 2020; ambiguities E1-E14 of the specification.
 */
const RULE = "version-ranges";
const SUFFIX = "_compatible";
/** Format D's file of text blocks has the suffix too, but it is no list about an attribute `migration`. */
const OTHER_FORMATS = new Set(["migration_compatible"]);

export function versionRanges(pair: Pair): Judgement {
	const covers: string[] = [];
	const reasons: Reason[] = [];
	const attributes = declaredAttributes(pair);
	const { direction } = pair.policy;
	const asked = {
		"target-accepts": [pair.target],
		"source-declares": [pair.source],
		both: [pair.target, pair.source],
	}[direction];
	let idle = attributes.length > 0;
	for (const attribute of attributes) {
		const list = `${attribute}${SUFFIX}`;
		covers.push(list);
		const target = hasAttribute(pair.target, list);
		const source = hasAttribute(pair.source, list);
		if (direction !== "source-declares" && target) reasons.push(...judge(pair, attribute, "target"));
		if (direction !== "target-accepts" && source) reasons.push(...judge(pair, attribute, "source"));
		// The list of one side is no word for the other side, where both are asked: it is judged as without a list (E12).
		const isDeclared = asked.every((side) => hasAttribute(side, list));
		if (isDeclared) covers.push(attribute);
		else if (direction !== "both") reasons.push(notConsulted(pair, attribute, list));
		idle &&= !isDeclared || !(isSaid(pair, attribute) || asked.some((side) => says(side, list)));
	}
	return { covers, reasons, ...(idle && { idle }) };
}

function declaredAttributes(pair: Pair): readonly string[] {
	return attributeNames(pair)
		.filter((name) => name.endsWith(SUFFIX) && !OTHER_FORMATS.has(name))
		.map((name) => name.slice(0, -SUFFIX.length));
}

/** E12: the list of the side that the direction does not ask. */
function notConsulted(pair: Pair, attribute: string, list: string): Reason {
	const { direction } = pair.policy;
	const owner = direction === "target-accepts" ? sourceName(pair) : targetName(pair);
	const message = `only ${owner} has ${list}, which is not consulted (direction ${direction})`;
	return attributeReason(pair, "direction.assumed", attribute, RULE, message);
}

/** A list, the value that it judges, and the words for both: what the two kinds of list have in common. */
interface Question {
	readonly pair: Pair;
	readonly attribute: string;
	readonly declaring: "source" | "target";
	readonly accepted: string;
	/** The declaring side's own value: accepted without being listed (E5). */
	readonly own: string | undefined;
	readonly value: string;
	readonly ownerName: string;
	readonly judgedName: string;
}

/** Judges the value of the other side by the list of `declaring`. */
function judge(pair: Pair, attribute: string, declaring: "source" | "target"): readonly Reason[] {
	const list = `${attribute}${SUFFIX}`;
	const [owner, judged] = declaring === "target" ? [pair.target, pair.source] : [pair.source, pair.target];
	const unreadable =
		unreadableReason(pair, owner, list, RULE) ??
		unreadableReason(pair, judged, attribute, RULE) ??
		unreadableReason(pair, owner, attribute, RULE);
	if (unreadable) return [unreadable];

	const [ownerName, judgedName] =
		declaring === "target" ? [targetName(pair), sourceName(pair)] : [sourceName(pair), targetName(pair)];
	const accepted = String(attributeOf(owner, list)).trim();
	const own = attributeOf(owner, attribute)?.trim();
	const value = attributeOf(judged, attribute)?.trim();
	if (value === undefined) {
		const code = declaring === "target" ? "attribute.missing_source" : "attribute.missing_target";
		const message = `${judgedName} has no ${attribute}; ${ownerName} accepts ${show(accepted)}`;
		return [
			attributeReason(pair, code, attribute, RULE, message, { [declaring]: accepted, beside: { [declaring]: [list] } }),
		];
	}
	const question = { pair, attribute, declaring, accepted, own, value, ownerName, judgedName };
	return /(?:^|_)version$/.test(attribute) ? judgeVersion(question) : judgeToken(question);
}

function found(question: Question, code: ReasonCode, message: string, severity?: Severity): Reason {
	const { pair, attribute, declaring, accepted } = question;
	const beside = { [declaring]: [`${attribute}${SUFFIX}`] };
	const details = { [declaring]: accepted, ...(severity && { severity }), beside };
	return attributeReason(pair, code, attribute, RULE, message, details);
}

function refusal({ attribute, value, ownerName, accepted }: Question): string {
	const accepts = accepted === "" ? "accepts only the identical value" : `accepts ${accepted}`;
	return `${attribute} ${show(value)} is not accepted by ${ownerName} (${accepts})`;
}

function judgeToken(question: Question): readonly Reason[] {
	const { attribute, value, own, accepted } = question;
	const tokens = [...accepted.split(","), ...(own === undefined ? [] : [own])];
	return isAmong(attribute, value, tokens) ? [] : [found(question, "attribute.not_in_list", refusal(question))];
}

function judgeVersion(question: Question): readonly Reason[] {
	const { pair, attribute, declaring, accepted, own, value, ownerName, judgedName } = question;
	const list = `${attribute}${SUFFIX} ${show(accepted)} of ${ownerName}`;
	// E10: an empty file is a list of nothing, unlike an absent one.
	const ranges = accepted === "" ? [] : parseRanges(accepted);
	if (isMalformed(ranges)) {
		const message = `${list} is malformed at column ${ranges.column}: ${ranges.problem}`;
		return [found(question, "rule.malformed", message)];
	}
	const version = parseVersion(value);
	const ownVersion = own === undefined ? undefined : parseVersion(own);
	const newer = version && ownVersion ? compareVersions(version, ownVersion) : undefined;
	if (value !== own && newer !== 0) {
		if (version === undefined) {
			const message = `${attribute} ${show(value)} of ${judgedName} is not a version (expected major.minor.bugfix)`;
			return [found(question, "version.unparseable", message)];
		}
		if (!inRanges(version, ranges)) return [found(question, "version.not_in_range", refusal(question))];
	}
	const warnings: Reason[] = [];
	if (ranges.some(spansMajors)) {
		warnings.push(found(question, "version.range_spans_majors", `${list} has a range that spans major versions`));
	}
	if (declaring === "target" && newer !== undefined && newer > 0) {
		const message = `${attribute} ${value} is newer than ${own} of ${ownerName}, whose list accepts it (${accepted})`;
		const severity = pair.policy.newer_source === "reject" ? "error" : "warning";
		warnings.push(found(question, "version.source_newer", message, severity));
	}
	return warnings;
}
