import { attributeReason, bothValues, type Judgement, type Pair, show, sourceName, targetName } from "../pair.ts";
import type { Reason } from "../reason.ts";
import { parseVersion } from "../version.ts";

/**
 * Format H: `major.minor.bugfix` of the migration stream. Same major, the target's minor at least the source's, the
 * bugfix free. Sean Mooney, 14 July 2020; Alex Williamson, 17 July 2020; specification 2.6.1. It is also what
 * `interface_version` means where no list says more (format E without its list).
 */
const RULE = "software-version";
const ATTRIBUTES = ["software_version", "interface_version"] as const;

export function softwareVersion(pair: Pair, covered: ReadonlySet<string>): Judgement {
	const covers: string[] = [];
	const reasons: Reason[] = [];
	for (const attribute of ATTRIBUTES) {
		if (covered.has(attribute)) continue;
		const values = bothValues(pair, attribute, RULE);
		if (values === undefined) continue;
		covers.push(attribute);
		const found =
			"reason" in values ? values.reason : judge(pair, attribute, values.source.trim(), values.target.trim());
		if (found) reasons.push(found);
	}
	return { covers, reasons };
}

function judge(pair: Pair, attribute: string, sourceText: string, targetText: string): Reason | undefined {
	// Rule E7: what is not a version passes only when it is the same text on both sides.
	if (sourceText === targetText) return undefined;
	const source = parseVersion(sourceText);
	const target = parseVersion(targetText);
	if (source === undefined || target === undefined) {
		const [text, name] = source === undefined ? [sourceText, sourceName(pair)] : [targetText, targetName(pair)];
		const message = `${attribute} ${show(text)} of ${name} is not a version (expected major.minor.bugfix)`;
		return attributeReason(pair, "version.unparseable", attribute, RULE, message);
	}
	const has = `${targetName(pair)} has ${targetText}`;
	if (target.major !== source.major) {
		const message = `${attribute} ${sourceText} needs major version ${source.major}; ${has}`;
		return attributeReason(pair, "version.major_mismatch", attribute, RULE, message);
	}
	if (target.minor < source.minor) {
		const message = `${attribute} ${sourceText} needs at least ${source.major}.${source.minor}; ${has}`;
		return attributeReason(pair, "version.minor_downgrade", attribute, RULE, message);
	}
	if (target.minor === source.minor && target.bugfix < source.bugfix) {
		const message = `${attribute} ${sourceText} goes to an older bugfix version; ${has}`;
		return attributeReason(pair, "version.bugfix_downgrade", attribute, RULE, message);
	}
	return undefined;
}
