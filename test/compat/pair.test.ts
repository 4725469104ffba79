import { describe, expect, test } from "vitest";
import { show } from "../../src/compat/pair.ts";

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
