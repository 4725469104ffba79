import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, digest, fnv1a64 } from "../../src/compat/digest.ts";

describe("fnv1a64", () => {
	/** text, hash: from the test vectors of the reference implementation (isthe.com/chongo/tech/comp/fnv) */
	test.each([
		["", "cbf29ce484222325"],
		["a", "af63dc4c8601ec8c"],
		["fo", "08985907b541d342"],
		["foobar", "85944171f73967e8"],
	])("of %j is %s", (text, hash) => expect(fnv1a64(text)).toBe(hash));

	test("is what the definition says", () => {
		const byDefinition = (text: string) =>
			[...text].reduce(
				(hash, character) => BigInt.asUintN(64, (hash ^ BigInt(character.charCodeAt(0))) * 0x100000001b3n),
				0xcbf29ce484222325n,
			);
		const ascii = fc.string({ unit: "binary-ascii", maxLength: 64 });
		fc.assert(fc.property(ascii, (text) => BigInt(`0x${fnv1a64(text)}`) === byDefinition(text)));
	});
});

describe("canonicalJson", () => {
	test("does not depend on the order of keys, and is ASCII", () => {
		expect(canonicalJson({ b: [1, { d: 1, c: "é" }], a: null })).toBe('{"a":null,"b":[1,{"c":"\\u00e9","d":1}]}');
		expect(canonicalJson({ a: null, b: [1, { c: "é", d: 1 }] })).toBe('{"a":null,"b":[1,{"c":"\\u00e9","d":1}]}');
	});

	test("what is undefined is left out, or null in a list", () => {
		const value = { b: [undefined, 1], a: undefined };
		expect(canonicalJson(value)).toBe('{"b":[null,1]}');
		expect(canonicalJson(undefined)).toBe("null");
	});

	test("is JSON of the same value", () => {
		fc.assert(
			fc.property(
				fc.jsonValue(),
				(value) => void expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value))),
			),
		);
	});
});

test("a digest is twelve hexadecimal digits", () => {
	fc.assert(fc.property(fc.jsonValue(), (value) => void expect(digest(value)).toMatch(/^[0-9a-f]{12}$/)));
});
