import { describe, expect, test } from "vitest";
import { few, show, together } from "../../src/compat/pair.ts";
import { reason } from "../../src/compat/reason.ts";

describe("a value in a sentence", () => {
	/** value, as it is shown */
	test.each([
		["2.0.2-2.0.4,2.1.0-", "2.0.2-2.0.4,2.1.0-"],
		["", '""'],
		["a b", '"a b"'],
		["é", '"é"'],
		["line\n", '"line\\n"'],
		["x".repeat(120), "x".repeat(120)],
		[`${"x".repeat(118)} y`, `"${"x".repeat(118)} y"`],
		["x".repeat(121), `"${"x".repeat(117)}..."`],
	])("%j is %s", (value, shown) => expect(show(value)).toBe(shown));
});

test.each([
	[["a"], "a"],
	[["a", "b", "c"], "a, b, c"],
	[["a", "b", "c", "d"], "a, b, c and 1 more"],
])("names %j are %s", (names, shown) => expect(few(names)).toBe(shown));

test("of what both sides declare that is covered which both cover, or about which one has told something", () => {
	const told = reason("attribute.differs", "test", "c differs", { attribute: "c" });
	const judged = together([
		{ covers: ["a", "b", "c"], reasons: [told] },
		{ covers: ["a"], reasons: [] },
	]);
	expect({ ...judged, covers: [...new Set(judged.covers)] }).toEqual({
		covers: ["a", "c"],
		reasons: [told],
		idle: false,
	});
});
