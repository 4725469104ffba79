import { inspect } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidMessage } from "../../src/messaging/errors.ts";
import {
	MAX_DEPTH,
	MAX_INTEGER_DIGITS,
	MAX_KEYS,
	MAX_SPECIAL_NUMBERS,
	MAX_TOKENS,
	parseJson,
	toJson,
} from "../../src/messaging/json.ts";
import { leastCpu } from "../support/least-cpu.ts";
import { askPython } from "../support/python.ts";

const nested = (depth: number, inner = "") => "[".repeat(depth) + inner + "]".repeat(depth);

function caught(what: () => unknown): unknown {
	try {
		return what();
	} catch (error) {
		return error;
	}
}

function refusal(text: string): string {
	const error = caught(() => parseJson(text, "the body"));
	return error instanceof InvalidMessage ? error.message : `not refused: ${String(error).slice(0, 40)}`;
}

describe("Python's JSON", () => {
	/** text as Python writes it, value, text as we write it */
	const NUMBERS: readonly (readonly [text: string, value: unknown, written: string])[] = [
		["NaN", Number.NaN, "NaN"],
		["Infinity", Number.POSITIVE_INFINITY, "Infinity"],
		["-Infinity", Number.NEGATIVE_INFINITY, "-Infinity"],
		// Row 31: a float that is too large for Python too.
		["1e400", Number.POSITIVE_INFINITY, "Infinity"],
		["-1e400", Number.NEGATIVE_INFINITY, "-Infinity"],
		["9007199254740991", 9007199254740991, "9007199254740991"],
		["-9007199254740991", -9007199254740991, "-9007199254740991"],
		["1234567890123456", 1234567890123456, "1234567890123456"],
		// P8, row 32
		["9007199254740992", 9007199254740992n, "9007199254740992"],
		["9007199254740993", 9007199254740993n, "9007199254740993"],
		["-9007199254740993", -9007199254740993n, "-9007199254740993"],
		["18446744073709551615", 18446744073709551615n, "18446744073709551615"],
		["1180591620717411303424", 1180591620717411303424n, "1180591620717411303424"],
		// To Python, 1e+20 and 100000000000000000000 are of different types, and 1.2345678901234568e+20 is no such integer.
		["1e+20", 1e20, "1e+20"],
		["1.2345678901234568e+20", 123456789012345680000, "1.2345678901234568e+20"],
		["12345678901234567890.5", 1.2345678901234567e19, "1.2345678901234567e+19"],
		["0.12345678901234567890", 0.12345678901234568, "0.12345678901234568"],
		["1.0", 1, "1"],
		["-0.0", -0, "0"],
		["1e22", 1e22, "1e+22"],
	];
	test.each(NUMBERS)("P7, P8, row 31, 32: %s is read, and written", (text, value, written) => {
		expect(parseJson(text)).toBe(value);
		expect(toJson(value)).toBe(written);
		const around = (number: string) => `{"a":[${number},{"b":${number}},null,"${text}"],"__proto__":${number}}`;
		expect(toJson(parseJson(around(text)))).toBe(around(written));
		expect(toJson(parseJson(` [\n${text}\t,${text} ]`))).toBe(`[${written},${written}]`);
	});

	/** text, why neither Python nor we take it */
	const REFUSED: readonly (readonly [text: string, why: string])[] = [
		["", "nothing"],
		["nan", "not Python's word"],
		["-NaN", "not Python's word"],
		["+Infinity", "not Python's word"],
		["NaNNaN", "no word"],
		["NaN NaN", "two values"],
		['"a"NaN', "two values"],
		["{NaN:1}", "a number is no key"],
		["{NaN :1}", "a number is no key"],
		["{9007199254740993:1}", "a number is no key"],
		['{"a":NaN:1}', "a number is no key"],
		["[NaN", "no end"],
		["[NaN}", "another end"],
		["[0009007199254740993]", "leading zeros"],
		["[9007199254740993.]", "a point without digits"],
		['["NaN]', "a string without end"],
		['["\\",NaN]', "a string without end"],
		["[NaN,]", "a comma too many"],
		["\u00a0NaN", "a space that is none"],
		["éNaN", "a letter outside of a string"],
		['["a\nb",NaN]', "a control character in a string"],
		["\ufeffNaN", "a byte order mark"],
	];
	test.each(REFUSED)("row 25: %j is refused: %s", (text) => expect(refusal(text)).toBe("the body is not JSON"));

	test.each(['"NaN"', '"\\"NaN"', '"\\\\"', '["\\\\",NaN,"\\\\\\"NaN"]', '{"NaN":"9007199254740993"}', '"0:NaN"'])(
		"numbers within strings stay as they are: %s",
		(text) => expect(toJson(parseJson(text))).toBe(text),
	);

	test("can be written for people", () => {
		expect(toJson([1, 2n ** 53n], 2)).toBe("[\n  1,\n  9007199254740992\n]");
		expect(toJson([1, 2], 2)).toBe(JSON.stringify([1, 2], null, 2));
	});

	test("a value that JSON has no word for is null, or left out, as JSON.stringify has it", () => {
		expect(toJson(undefined)).toBe("null");
		expect(toJson([undefined, Number.NaN])).toBe("[null,NaN]");
		expect(toJson({ a: undefined, b: 2n ** 53n })).toBe('{"b":9007199254740992}');
	});

	test.each(["gAAAAA", '{"a":gAAAAA}', '{"token":"gAAAAA', '["gAAAAA",NaN,}'])(
		"a refusal shows no piece of the text, which may be a token: %s",
		(text) => expect(inspect(caught(() => parseJson(text)))).not.toContain("gAAAAA"),
	);
});

describe("what is too much", () => {
	const integer = (length: number) => "9".repeat(length);
	const keys = (count: number, value = "1") =>
		`{${Array.from({ length: count }, (_, index) => `"${index}":${value}`).join()}}`;
	const [short, long] = ["1", `"${"x".repeat(32)}"`];
	/** what is the most that is taken, what is refused, why */
	const LIMITS: readonly (readonly [what: string, taken: string, refused: string, why: string])[] = [
		["depth", nested(MAX_DEPTH), nested(MAX_DEPTH + 1), "the body is nested deeper than 64 levels"],
		["depth", nested(MAX_DEPTH, "NaN"), nested(MAX_DEPTH + 1, "NaN"), "the body is nested deeper than 64 levels"],
		[
			"depth of objects",
			`${'{"a":'.repeat(MAX_DEPTH)}1${"}".repeat(MAX_DEPTH)}`,
			`${'{"a":'.repeat(MAX_DEPTH + 1)}1${"}".repeat(MAX_DEPTH + 1)}`,
			"the body is nested deeper than 64 levels",
		],
		[
			"tokens",
			`[${"1,".repeat(MAX_TOKENS / 2 - 2)}1]`,
			`[${"1,".repeat(MAX_TOKENS / 2 - 1)}1]`,
			"the body has more than 200000 tokens",
		],
		[
			"numbers that JSON.parse cannot read",
			`[${"NaN,".repeat(MAX_SPECIAL_NUMBERS - 1)}NaN,1]`,
			`[${"NaN,".repeat(MAX_SPECIAL_NUMBERS)}${2n ** 53n}]`,
			"the body has more than 20000 numbers that are none of JSON's, or beyond 2^53",
		],
		[
			"keys of an object",
			keys(MAX_KEYS, short),
			keys(MAX_KEYS + 1, short),
			"the body has an object of more than 4096 keys",
		],
		[
			"keys in a long text",
			keys(MAX_KEYS, long),
			keys(MAX_KEYS + 1, long),
			"the body has an object of more than 4096 keys",
		],
		[
			"keys beside other objects",
			`{"a":[${keys(MAX_KEYS, '{"a":NaN}')}],"b":{"c":1}}`,
			`{"a":[{"c":NaN},${keys(MAX_KEYS + 1, '{"a":1}')}]}`,
			"the body has an object of more than 4096 keys",
		],
		[
			"digits, which is Python's limit too",
			`-${integer(MAX_INTEGER_DIGITS)}`,
			`-${integer(MAX_INTEGER_DIGITS + 1)}`,
			"the body has an integer of more than 4300 digits",
		],
	];
	test.each(LIMITS)("SEC-03, row 27, 28, 32: the %s", (_what, taken, refused, why) => {
		expect(() => parseJson(taken)).not.toThrow();
		expect(refusal(refused)).toBe(why);
	});

	test("of many objects, each may have so many; what goes out may have more", () => {
		const many = `[${keys(MAX_KEYS)},${keys(MAX_KEYS)},{"a":${keys(MAX_KEYS)}}]`;
		expect(parseJson(many)).toHaveLength(3);
		expect(toJson(JSON.parse(keys(MAX_KEYS + 1)))).toBe(keys(MAX_KEYS + 1));
	});

	test("row 28: depth in a string, and side by side, is none", () => {
		expect(parseJson(JSON.stringify(nested(1_000)))).toHaveLength(2_000);
		expect(parseJson(`[${"[[]],".repeat(10_000)}[]]`)).toHaveLength(10_001);
	});

	test("row 28: neither does a value go out that is too deep, nor one without end", () => {
		const endless: unknown[] = [];
		endless.push(endless);
		expect(toJson(JSON.parse(nested(MAX_DEPTH)))).toBe(nested(MAX_DEPTH));
		expect(() => toJson(JSON.parse(nested(MAX_DEPTH + 1)))).toThrow("the value is nested deeper than 64 levels");
		expect(() => toJson(JSON.parse(nested(100_000)))).toThrow(TypeError);
		expect(() => toJson(endless)).toThrow(TypeError);
	});

	const SIZE = 4 * 1024 * 1024;
	/** text of 4 MiB at most, milliseconds of CPU in which it is done with */
	const SLOW: readonly (readonly [row: string, what: string, text: string, milliseconds: number])[] = [
		["28", "a depth of 10^6", nested(1_000_000), 10],
		["28", "a depth of 30,000 in a short text", nested(30_000), 10],
		["27", "empty objects", `[${"{},".repeat(SIZE / 3 - 2)}{}]`, 100],
		["27", "as many empty objects as there may be", `[${"{},".repeat(66_000)}{}]`, 100],
		["27", "NaN as often as it may be", `[${"1,".repeat(79_980)}${"NaN,".repeat(MAX_SPECIAL_NUMBERS - 1)}NaN]`, 100],
		["27", "NaN more often than it may be", `[${"NaN,".repeat(99_990)}NaN]`, 100],
		["27", "NaN without commas", "NaN ".repeat(SIZE / 4), 100],
		["27", "quotes", '"'.repeat(SIZE), 100],
		["27", "quotes and backslashes", `"${'\\"'.repeat(SIZE / 2 - 1)}`, 100],
		["27", "backslashes in a string without end", `["${"\\".repeat(SIZE - 2)}`, 100],
		["27", "a long string beside NaN", `["${"a".repeat(SIZE - 10)}",NaN`, 100],
		["27", "minus signs", "-".repeat(SIZE), 100],
		["27", "white space", `${" ".repeat(SIZE - 3)}NaN`, 100],
		["27", "letters of no word", "é".repeat(SIZE / 2), 100],
		["32", "digits", integer(SIZE), 100],
		["32", "integers of the greatest length", `[${`${integer(MAX_INTEGER_DIGITS)},`.repeat(970)}1]`, 200],
	];
	test.each(SLOW)("row %s: %s: no stall", (_row, _what, text, milliseconds) => {
		expect(leastCpu(() => caught(() => parseJson(text)), milliseconds)).toBeLessThan(milliseconds);
	});
});

test("row 33: no key pollutes a prototype, whatever its value", () => {
	const name = fc.constantFrom("__proto__", "constructor", "prototype", "toString", "a");
	const { value } = fc.letrec<{ value: unknown }>((tie) => ({
		value: fc.oneof(
			{ maxDepth: 4 },
			fc.constantFrom("NaN", "9007199254740993", '"x"', "null"),
			fc.array(fc.tuple(name, tie("value")), { maxLength: 3 }).map((fields) => {
				return `{${fields.map(([key, text]) => `${JSON.stringify(key)}:${text}`).join(",")}}`;
			}),
		),
	}));
	fc.assert(
		fc.property(value, (text) => {
			const parsed = parseJson(`{"__proto__":${text},"constructor":{"prototype":{"polluted":${text}}}}`);
			expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
			expect(Object.keys(Object(parsed))).toEqual(["__proto__", "constructor"]);
			expect(toJson(parsed)).toContain('{"__proto__":');
			expect(Reflect.get({}, "polluted")).toBeUndefined();
		}),
		{ numRuns: 1_000 },
	);
});

/** Text that is nearly JSON. */
const SOUP = fc
	.array(
		fc.constantFrom(...'[]{},:"\\ \n-.0123eE+', "NaN", "Infinity", "9007199254740993", '"a"', "null", "1e400", "é"),
		{
			maxLength: 12,
		},
	)
	.map((pieces) => pieces.join(""));
const JSON_TEXT = fc.oneof(
	SOUP,
	SOUP.map((text) => `{"a":${text}}`),
	SOUP.map((text) => `[${text}]`),
	fc.json(),
);

/** Python: whether two values are equal, NaN to NaN, and true not to 1. */
const SAME = `
def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and (a == b or (a != a and b != b))
`;
/** Python: makes a value of its description, which plain JSON can carry. */
const BUILD = `
def build(value):
    if not isinstance(value, dict):
        return value
    (kind, content), = value.items()
    if kind == "list":
        return [build(item) for item in content]
    if kind == "dict":
        return {key: build(item) for key, item in content}
    return {"int": int, "float": float}[kind](content)
`;

describe("compared with the real ones", () => {
	test("JSON without such numbers is read as JSON.parse reads it, and written as JSON.stringify does", () => {
		const plain = fc.jsonValue({ maxDepth: 6 }).filter((value) => !/\d{16}|e\+/.test(JSON.stringify(value)));
		fc.assert(
			fc.property(plain, fc.constantFrom("", " ", "\t", "\n "), (value, indent) => {
				const text = JSON.stringify(value, null, indent);
				expect(parseJson(text)).toStrictEqual(JSON.parse(text));
				expect(toJson(value)).toBe(JSON.stringify(value));
			}),
			{ numRuns: 1_000 },
		);
	});

	test("what is JSON to Python is JSON to us, and the same", () => {
		const texts = fc.sample(JSON_TEXT, { numRuns: 2_000, seed: 1 });
		const ours = texts.map((text) => (refusal(text) === "the body is not JSON" ? null : toJson(parseJson(text))));
		expect(ours.filter((text) => text !== null).length).toBeGreaterThan(300);
		expect(ours.filter((text) => text === null).length).toBeGreaterThan(300);
		const theirs = `
REFUSED = object()
def loads(text):
    try:
        return json.loads(text)
    except ValueError:
        return REFUSED
answer([text for text, ours in question if not same(loads(text), REFUSED if ours is None else json.loads(ours))])`;
		const given = texts.map((text, index) => [text, ours[index]]);
		expect(askPython(SAME + theirs, given)).toEqual([]);
	});

	test("P7, P8: what json.dumps writes of 1,000 values survives reading and writing", () => {
		const number = fc.oneof(
			fc.double().map((value) => ({ float: Object.is(value, -0) ? "-0.0" : String(value) })),
			fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }).map((value) => ({ int: String(value) })),
			fc.integer({ min: -2, max: 2 }).map((offset) => ({ int: String(2n ** 53n + BigInt(offset)) })),
			fc.integer({ min: -2, max: 2 }).map((offset) => ({ float: `${2n ** 53n + BigInt(offset)}` })),
		);
		const text = fc.string({ unit: "binary" });
		const lone = fc.constantFrom("\ud800", "\udfff", "a\ud83d", "é😀\u0000\u2028", "NaN", "Infinity", '"\\');
		const key = fc.oneof(text, lone, fc.constantFrom("__proto__", "constructor", "", "NaN", "0"));
		const { value } = fc.letrec<{ value: unknown }>((tie) => ({
			value: fc.oneof(
				{ maxDepth: 5 },
				fc.oneof(number, text, lone, fc.boolean(), fc.constant(null)),
				fc.array(tie("value"), { maxLength: 5 }).map((list) => ({ list })),
				fc.array(fc.tuple(key, tie("value")), { maxLength: 5 }).map((dict) => ({ dict })),
			),
		}));
		const values = fc.sample(value, { numRuns: 1_000, seed: 2 });
		const texts = askPython(`${BUILD}answer([json.dumps(build(value)) for value in question])`, values);
		expect(texts).toHaveLength(1_000);
		const given = values.map((value, index) => [value, toJson(parseJson((texts as string[])[index] ?? ""))]);
		const changed = "answer([[value, text] for value, text in question if not same(build(value), json.loads(text))])";
		expect(askPython(SAME + BUILD + changed, given)).toEqual([]);
	});
});
