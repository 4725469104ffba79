import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { inRanges, isMalformed, parseRanges } from "../../src/compat/range.ts";
import { parseVersion, type Version } from "../../src/compat/version.ts";

function accepts(list: string, text: string): boolean {
	const ranges = parseRanges(list);
	const version = parseVersion(text);
	if (isMalformed(ranges) || version === undefined) throw new Error(`cannot ask whether ${list} accepts ${text}`);
	return inRanges(version, ranges);
}

/** list, versions in it, versions not in it */
const MEMBERSHIP: readonly (readonly [string, readonly string[], readonly string[]])[] = [
	["2.0.2-2.0.4,2.1.0-", ["2.0.2", "2.0.3", "2.0.4", "2.1.0", "2.1.3", "2.99.0"], ["2.0.1", "2.0.5", "1.9.9", "3.0.0"]],
	["2.1.3", ["2.1.3"], ["2.1.2", "2.1.4"]],
	["2.1", ["2.1.0", "2.1.99"], ["2.0.99", "2.2.0"]],
	["2", ["2.0.0", "2.99.99"], ["1.99.99", "3.0.0"]],
	["2.1-2.3", ["2.1.0", "2.3.99"], ["2.0.99", "2.4.0"]],
	["2-3", ["2.0.0", "3.99.99"], ["1.99.99", "4.0.0"]],
	["2.1-", ["2.1.0", "2.99.0"], ["2.0.9", "3.0.0"]],
	["-2.1", ["2.0.0", "2.1.99"], ["1.99.99", "2.2.0"]],
	["1.9.0-2.0.4", ["1.9.0", "1.99.0", "2.0.4"], ["1.8.9", "2.0.5"]],
	[" 2.0.2 -\t2.0.4 , 1 ", ["2.0.3", "1.5.0"], ["2.0.5"]],
	["  2.0.2 \t,\t 1 \t", ["2.0.2", "1.5.0"], ["2.0.3"]],
	["2.0.02-2.0.04", ["2.0.3"], ["2.0.5"]],
];

describe.each(MEMBERSHIP)("%s", (list, inside, outside) => {
	test.each(inside)("includes %s", (text) => expect(accepts(list, text)).toBe(true));
	test.each(outside)("excludes %s", (text) => expect(accepts(list, text)).toBe(false));
});

/** list, column of the first malformed item */
const MALFORMED: readonly (readonly [string, number])[] = [
	["", 1],
	[",2.0", 1],
	["2.0,", 5],
	["2.0,,2.1", 5],
	["-", 1],
	["2.0, -", 6],
	["2.0--2.1", 1],
	["2.0-2.1-2.2", 1],
	["2.0.4-2.0.2", 1],
	["2.1-2.0", 1],
	["1.0,  2.{1,2}", 7],
	["2.0 2.1", 1],
	["2.0\n2.1", 1],
	["v2.0", 1],
	["2.1.3-rc1", 1],
	["12345678901", 1],
	[">=2.0", 1],
	["*", 1],
];

test.each(MALFORMED)("%j is malformed at column %i", (list, column) => {
	expect(parseRanges(list)).toMatchObject({ column });
});

test("membership is what the grammar's prose says, by enumeration of a small world", () => {
	const part = fc.nat(3);
	const version = fc.array(part, { minLength: 1, maxLength: 3 });
	const item = fc.oneof(
		version.map((parts) => ({ text: parts.join("."), low: parts, high: parts })),
		version.map((parts) => ({ text: `${parts.join(".")}-`, low: parts, high: parts.slice(0, 1) })),
		version.map((parts) => ({ text: `-${parts.join(".")}`, low: parts.slice(0, 1), high: parts })),
		fc.tuple(version, version).map(([low, high]) => ({ text: `${low.join(".")}-${high.join(".")}`, low, high })),
	);
	/** Every version of the world as one number, so that the oracle needs no comparison of triples. */
	const lowest = (parts: readonly number[]) => (parts[0] ?? 0) * 100 + (parts[1] ?? 0) * 10 + (parts[2] ?? 0);
	const highest = (parts: readonly number[]) => (parts[0] ?? 9) * 100 + (parts[1] ?? 9) * 10 + (parts[2] ?? 9);
	fc.assert(
		fc.property(fc.array(item, { minLength: 1, maxLength: 4 }), (items) => {
			const ranges = parseRanges(items.map(({ text }) => text).join(","));
			const isReversed = items.some(({ low, high }) => lowest(low) > highest(high));
			expect(isMalformed(ranges)).toBe(isReversed);
			if (isMalformed(ranges)) return;
			for (let n = 0; n < 1000; n++) {
				const [major = 0, minor = 0, bugfix = 0] = String(n).padStart(3, "0").split("").map(Number);
				const asked: Version = { major, minor, bugfix };
				const expected = items.some(({ low, high }) => n >= lowest(low) && n <= highest(high));
				if (inRanges(asked, ranges) !== expected)
					throw new Error(`${n} in ${items.map(({ text }) => text)}: expected ${expected}`);
			}
		}),
	);
});

test("no text makes it throw", () => {
	fc.assert(
		fc.property(
			fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."0129.,- \t{}") })),
			(text) => void parseRanges(text),
		),
	);
});
