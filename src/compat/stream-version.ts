import { attributeReason, type Pair, show, sourceName, targetName } from "./pair.ts";
import type { Rule } from "./policy.ts";
import type { Reason } from "./reason.ts";
import { parseVersion } from "./version.ts";

/**
 * Versions of a migration stream: the same major, the target's minor at least the source's, the bugfix free. Sean Mooney,
 * 14 July 2020; Alex Williamson, 17 July 2020; specification 2.6.1. With `major`, the major version is all that must be the same,
 * and another version is worth a warning: vendors that promise this for some systems deny it for others.
 */
export function judgeStream(
	pair: Pair,
	attribute: string,
	values: { readonly source: string; readonly target: string },
	rule: string,
	compare?: Rule["compare"],
): Reason | undefined {
	const [sourceText, targetText] = [values.source.trim(), values.target.trim()];
	// Rule E7: what is not a version passes only when it is the same text on both sides.
	if (sourceText === targetText) return undefined;
	const source = parseVersion(sourceText);
	const target = parseVersion(targetText);
	if (source === undefined || target === undefined) {
		const [text, name] = source === undefined ? [sourceText, sourceName(pair)] : [targetText, targetName(pair)];
		const message = `${attribute} ${show(text)} of ${name} is not a version (expected major.minor.bugfix)`;
		return attributeReason(pair, "version.unparseable", attribute, rule, message);
	}
	const has = `${targetName(pair)} has ${targetText}`;
	if (target.major !== source.major) {
		const message = `${attribute} ${sourceText} needs major version ${source.major}; ${has}`;
		return attributeReason(pair, "version.major_mismatch", attribute, rule, message);
	}
	if (compare === "major") {
		if (target.minor === source.minor && target.bugfix === source.bugfix) return undefined;
		const message = `${attribute} ${sourceText} goes to another version of the same major one; ${has}`;
		return attributeReason(pair, "attribute.differs", attribute, rule, message, { severity: "warning" });
	}
	if (target.minor < source.minor) {
		const message = `${attribute} ${sourceText} needs at least ${source.major}.${source.minor}; ${has}`;
		return attributeReason(pair, "version.minor_downgrade", attribute, rule, message);
	}
	if (target.minor === source.minor && target.bugfix < source.bugfix) {
		const message = `${attribute} ${sourceText} goes to an older bugfix version; ${has}`;
		return attributeReason(pair, "version.bugfix_downgrade", attribute, rule, message);
	}
	return undefined;
}
