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

/**
 * Format A: an opaque text that only the vendor's driver can read; the kernel's first proposal wrote the source's text to
 * the target's file to see whether it is accepted. Yan Zhao, 13 July 2020. We never write: equal texts are compatible,
 * different ones cannot be decided. A text in JSON is the business of json-descriptor.ts.
 */
const RULE = "migration-version";
const MIGRATION_VERSION = "migration_version";

export function migrationVersion(pair: Pair): Judgement {
	const values = bothValues(pair, MIGRATION_VERSION, RULE);
	if (values === undefined) return { covers: [], reasons: [] };
	const covers = [MIGRATION_VERSION];
	if ("reason" in values) return { covers, reasons: [values.reason] };
	const { source, target } = values;
	if (isJson(source) && isJson(target)) return { covers: [], reasons: [] };
	if (source === target) return { covers, reasons: [], idle: !isSaid(pair, MIGRATION_VERSION) };
	const message =
		`${MIGRATION_VERSION} ${show(source)} of ${sourceName(pair)} differs from ${show(target)} of ${targetName(pair)}; ` +
		"only the vendor's driver could tell whether it accepts the other";
	return { covers, reasons: [attributeReason(pair, "opaque.differs", MIGRATION_VERSION, RULE, message)] };
}

/** The mails of 14 and 16 July name no file of their own for the JSON, so the text is told by its first character. */
export function isJson(text: string): boolean {
	return /^\s*[[{]/.test(text);
}
