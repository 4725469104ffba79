import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MalformedTemplate, matches, parseTemplate, type Variable } from "../../src/compat/template.ts";

const bind = (...values: readonly (readonly [string, string])[]) => new Map(values);
const V: ReadonlyMap<string, Variable> = new Map([
	["n", { name: "n", kind: "int", values: ["1", "2", "4"] }],
	["s", { name: "s", kind: "string", values: ["a", "b+c"] }],
]);

describe("matches", () => {
	/** template, value of n and s, texts that fit, texts that do not */
	const TABLE: readonly (readonly [string, string, string, readonly string[], readonly string[]])[] = [
		["plain", "1", "a", ["plain"], ["", "Plain", "plain "]],
		["V5_{n}", "4", "a", ["V5_4"], ["V5_04", "V5_2", "xV5_4", "V5_44"]],
		["{n}", "4", "a", ["4", "04"], ["", "4.0", "5", "four"]],
		["{n}/2", "4", "a", ["2", "02"], ["4", "1", "2.0"]],
		["{n}/2", "1", "a", [], ["0", "1", "0.5", "1/2"]],
		["{s}", "1", "b+c", ["b+c"], ["a", "c+b", '"b+c"']],
		["x{s}{n}y", "2", "a", ["xa2y"], ["xa02y"]],
	];
	test.each(TABLE)("%s with n=%s s=%s", (text, n, s, inside, outside) => {
		const template = parseTemplate(text, new Map(V));
		const bindings = bind(["n", n], ["s", s]);
		for (const value of inside) expect(matches(template, value, bindings, V), value).toBe(true);
		for (const value of outside) expect(matches(template, value, bindings, V), value).toBe(false);
	});
});

describe("parseTemplate", () => {
	test("a definition is added to the variables", () => {
		const variables = new Map<string, Variable>();
		parseTemplate("V5_{v:int:1, 02,8}", variables);
		parseTemplate('{w:string:"x", "y,z"}', variables);
		parseTemplate('{u:string: "x" ,  "y" }', variables);
		expect([...variables.values()]).toEqual([
			{ name: "v", kind: "int", values: ["1", "2", "8"] },
			{ name: "w", kind: "string", values: ["x", "y,z"] },
			{ name: "u", kind: "string", values: ["x", "y"] },
		]);
	});

	test.each(["*", "+1", "/2", "%", "a*b", "a/2"])("%s is text: there is nothing to calculate with", (text) => {
		expect(parseTemplate(text, new Map())).toEqual({ parts: [text], divisor: 1 });
	});

	test("an operator that does not follow a variable is text", () => {
		expect(parseTemplate("{n}x/2", new Map(V))).toEqual({ parts: [{ variable: "n" }, "x/2"], divisor: 1 });
	});

	test.each([
		"{",
		"}",
		"{}",
		"{1a}",
		"{n",
		"n}",
		"{n:int}",
		"{x:int:}",
		"{x:int:1,}",
		"{x:int:-1}",
		"{x:int:1.5}",
		"{x:int:1e3}",
		"{x:float:1}",
		"{x:string:}",
		"{x:string:a}",
		'{x:string:"a}',
		'{x:string:a"b"}',
		'{x:string:"a"b}',
		"{unknown}",
		"{n:int:1}",
		"{n}*2",
		"{n}+1",
		"{n}%2",
		"{n}/",
		"{n}/x",
		"{n}/0",
		"{n}/2/2",
		"{s}/2",
		"a{n}/2",
		"{n}{n}/2",
		'"',
		"{n}/9007199254740993",
		"{x:int:9007199254740992}",
	])("%s is malformed", (text) => {
		expect(() => parseTemplate(text, new Map(V))).toThrow(MalformedTemplate);
	});

	test("has 1,024 parts at most", () => {
		expect(parseTemplate("{n}x".repeat(512), new Map(V)).parts).toHaveLength(1024);
		expect(() => parseTemplate(`${"{n}x".repeat(512)}{n}`, new Map(V))).toThrow("more than 1024 variables and texts");
	});

	test("no text makes it throw anything else", () => {
		const soup = fc.string({ unit: fc.constantFrom(...'{}:,/"ns12int string*+ ') });
		fc.assert(
			fc.property(fc.oneof(soup, fc.string()), (text) => {
				try {
					parseTemplate(text, new Map(V));
				} catch (error) {
					expect(error).toBeInstanceOf(MalformedTemplate);
				}
			}),
			{ numRuns: 2000 },
		);
	});
});
