import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Block, parseBlocks } from "../../src/compat/blocks.ts";
import { isMalformed, parseRanges, type Range } from "../../src/compat/range.ts";
import { parseTemplate, type Template, type Variable } from "../../src/compat/template.ts";
import { compareVersions, parseVersion, type Version } from "../../src/compat/version.ts";

// The product reads these formats and never writes them; the writers here follow the grammars (*.bnf), and what they wrote must
// be read as what it was.

const number = fc.oneof(fc.nat(30), fc.nat(9_999_999));
const version = fc.record({ major: number, minor: number, bugfix: number });

function formatVersion({ major, minor, bugfix }: Version): string {
	return `${major}.${minor}.${bugfix}`;
}

/** A range without open end, and its open ends where the grammar has one: within a major version. */
const range = fc.oneof(
	fc
		.tuple(version, version)
		.map(([a, b]): Range => (compareVersions(a, b) <= 0 ? { low: a, high: b } : { low: b, high: a })),
	version.map(
		(low): Range => ({
			low,
			high: { major: low.major, minor: Number.POSITIVE_INFINITY, bugfix: Number.POSITIVE_INFINITY },
		}),
	),
	version.map((high): Range => ({ low: { major: high.major, minor: 0, bugfix: 0 }, high })),
);

/** The shortest text: one version, an open end where there is one, else both ends. */
function formatRange({ low, high }: Range): string {
	if (high.minor === Number.POSITIVE_INFINITY) return `${formatVersion(low)}-`;
	if (compareVersions(low, high) === 0) return formatVersion(low);
	const isOpen = low.major === high.major && low.minor === 0 && low.bugfix === 0;
	return `${isOpen ? "" : formatVersion(low)}-${formatVersion(high)}`;
}

describe("parse . format = identity", () => {
	test("versions", () => {
		fc.assert(
			fc.property(version, (value) => {
				expect(parseVersion(formatVersion(value))).toEqual(value);
			}),
		);
	});

	test("lists of ranges", () => {
		fc.assert(
			fc.property(
				fc.array(range, { minLength: 1, maxLength: 8 }),
				fc.constantFrom(",", ", ", " ,\t"),
				(ranges, comma) => {
					const read = parseRanges(ranges.map(formatRange).join(comma));
					expect(isMalformed(read)).toBe(false);
					expect(read).toEqual(ranges);
				},
			),
		);
	});

	const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,7}$/);
	const literal = fc.stringMatching(/^[a-z0-9_.-]{1,8}$/);
	const item = fc.stringMatching(/^[a-z0-9 ,.]{0,6}$/).map((text) => text.trim());
	const values = fc.oneof(
		fc
			.array(fc.nat(), { minLength: 1, maxLength: 5 })
			.map((list) => ({ kind: "int", values: list.map(String) }) as const),
		fc.array(item, { minLength: 1, maxLength: 5 }).map((list) => ({ kind: "string", values: list }) as const),
	);
	const variable = fc.tuple(name, values).map(([own, rest]): Variable => ({ name: own, ...rest }));

	function formatDefinition({ name: own, kind, values: list }: Variable): string {
		return `{${own}:${kind}:${kind === "int" ? list.join(",") : list.map((text) => `"${text}"`).join(",")}}`;
	}

	/** A template that defines its variables, each where it stands first; literals lie between them. */
	const template = fc.uniqueArray(variable, { selector: (one) => one.name, maxLength: 3 }).chain((variables) =>
		fc.record({
			variables: fc.constant(variables),
			literals: fc.array(literal, { minLength: variables.length + 1, maxLength: variables.length + 1 }),
			divisor: fc.integer({ min: 2, max: 64 }),
		}),
	);

	test("templates", () => {
		fc.assert(
			fc.property(template, ({ variables, literals, divisor }) => {
				const [sole] = variables;
				const isQuotient = variables.length === 1 && sole?.kind === "int";
				const text = isQuotient
					? `${formatDefinition(sole)}/${divisor}`
					: literals.map((one, index) => one + (variables[index] ? formatDefinition(variables[index]) : "")).join("");
				const expected: Template = isQuotient
					? { parts: [{ variable: sole.name }], divisor }
					: {
							parts: literals.flatMap((one, index) => [
								one,
								...(variables[index] ? [{ variable: variables[index].name }] : []),
							]),
							divisor: 1,
						};
				const read = new Map<string, Variable>();
				expect(parseTemplate(text, read)).toEqual(expected);
				expect([...read.values()]).toEqual(variables);
			}),
		);
	});

	test("blocks: the fields of SELF, and of each COMPATIBLE block with its line", () => {
		const key = fc.stringMatching(/^[a-z][a-z0-9_]{0,7}$/);
		const fields = fc.dictionary(key, literal, { minKeys: 1, maxKeys: 5, noNullPrototype: true });
		const format = (header: string, block: Readonly<Record<string, string>>) =>
			[`${header}:`, ...Object.entries(block).map(([one, value]) => `\t${one} = ${value} # as written`)].join("\n");
		fc.assert(
			fc.property(fields, fc.array(fields, { maxLength: 4 }), (self, compatible) => {
				const text = [format("SELF", self), ...compatible.map((block) => format("COMPATIBLE", block))].join("\n");
				const read = parseBlocks(text);
				expect([...(read.self ?? [])]).toEqual(Object.entries(self));
				let line = 1 + 1 + Object.keys(self).length;
				for (const [index, block] of compatible.entries()) {
					const found = read.compatible[index] as Block;
					expect(found.line).toBe(line);
					expect(found.fields.map(({ key: one, text: value }) => [one, value])).toEqual(Object.entries(block));
					line += 1 + Object.keys(block).length;
				}
				expect(read.compatible).toHaveLength(compatible.length);
			}),
		);
	});
});
