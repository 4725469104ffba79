import { compareVersions, parseVersion, VERSION_PATTERN, type Version } from "./version.ts";

/** Both ends are included; an open end is Infinity in the components that it leaves free. */
export interface Range {
	readonly low: Version;
	readonly high: Version;
}

/** Where and why a list is malformed; `column` counts from 1 in the text that was read. */
export interface MalformedList {
	readonly column: number;
	readonly problem: string;
}

const BLANK = "[ \\t]*";
const ITEM = new RegExp(`^(${VERSION_PATTERN})?(?:${BLANK}(-)${BLANK}(${VERSION_PATTERN})?)?$`);

/** Reads a list of the grammar range.bnf; one malformed item makes the whole list malformed (rule E8). */
export function parseRanges(text: string): readonly Range[] | MalformedList {
	const ranges: Range[] = [];
	let column = 1;
	for (const raw of text.split(",")) {
		const item = raw.replace(/^[ \t]+|[ \t]+$/g, "");
		const range = parseItem(item);
		if (typeof range === "string") return { column: column + raw.search(/[^ \t]|$/), problem: range };
		ranges.push(range);
		column += raw.length + 1;
	}
	return ranges;
}

function parseItem(item: string): Range | string {
	if (item === "") return "an item is empty";
	const [, from = "", dash, to = ""] = ITEM.exec(item) ?? [];
	const low = parseVersion(from);
	const high = parseVersion(dash === undefined ? from : to, Number.POSITIVE_INFINITY);
	const named = low ?? high;
	if (named === undefined) return `expected a version or a range, got "${item}"`;
	// An open end stays within the major version that the item names (E1).
	const { major } = named;
	const range = {
		low: low ?? { major, minor: 0, bugfix: 0 },
		high: high ?? { major, minor: Number.POSITIVE_INFINITY, bugfix: Number.POSITIVE_INFINITY },
	};
	return compareVersions(range.low, range.high) > 0 ? `the range "${item}" is reversed` : range;
}

export function isMalformed(list: readonly Range[] | MalformedList): list is MalformedList {
	return "problem" in list;
}

export function inRanges(version: Version, ranges: readonly Range[]): boolean {
	return ranges.some(({ low, high }) => compareVersions(version, low) >= 0 && compareVersions(version, high) <= 0);
}

export function spansMajors({ low, high }: Range): boolean {
	return low.major !== high.major;
}
