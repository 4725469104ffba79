import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareVersions, parseVersion } from "../../src/compat/version.ts";

describe("parseVersion", () => {
	test.each([
		["2.1.3", [2, 1, 3]],
		["2.1", [2, 1, 0]],
		["3", [3, 0, 0]],
		["580.65.06", [580, 65, 6]],
		["9999999999.0.0", [9_999_999_999, 0, 0]],
	])("%s", (text, [major, minor, bugfix]) => {
		expect(parseVersion(text)).toEqual({ major, minor, bugfix });
	});

	test.each([
		"",
		"v2.1.3",
		"2.1.3-rc1",
		"2.1.3+build",
		"2.1.3.4",
		"2..3",
		".1",
		"1.",
		"-1",
		"1e3",
		"12345678901",
		" 2.1",
		"２.1",
	])("%j is no version", (text) => expect(parseVersion(text)).toBeUndefined());
});

test("the order of versions is that of their numbers", () => {
	const triple = fc.tuple(fc.nat(30), fc.nat(30), fc.nat(30));
	fc.assert(
		fc.property(triple, triple, (a, b) => {
			const [left, right] = [parseVersion(a.join(".")), parseVersion(b.join("."))];
			if (!left || !right) throw new Error("not a version");
			const value = ([major, minor, bugfix]: readonly [number, number, number]) =>
				major * 10_000 + minor * 100 + bugfix;
			expect(Math.sign(compareVersions(left, right))).toBe(Math.sign(value(a) - value(b)));
		}),
	);
});
