import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Reason, reason, type Verdict } from "../../src/compat/reason.ts";
import { shortText } from "../../src/compat/short-text.ts";

const ID = "0123456789ab";
const error = (message: string) => reason("version.not_in_range", "test", message);
const note = (message: string) => reason("version.source_newer", "test", message);
const long = (letter: string, length = 100) => letter.repeat(length);

describe("shortText", () => {
	/** what it shows, verdict, reasons, text */
	const TEXTS: readonly (readonly [string, Verdict, readonly Reason[], string])[] = [
		["an accept", "accept", [], `accept [${ID}]`],
		["its warnings", "accept", [note("one"), note("two")], `accept; one; two [${ID}]`],
		["errors, not warnings", "reject", [error("one"), error("two"), note("three")], `one; two [${ID}]`],
		[
			"as many as there is room for",
			"reject",
			[error(long("a")), error(long("b", 90)), error(long("c"))],
			`${long("a")}; ${long("b", 90)} (+1 more) [${ID}]`,
		],
		[
			"how many are left out",
			"reject",
			[error(long("a")), error(long("b", 111)), error("c")],
			`${long("a")} (+2 more) [${ID}]`,
		],
		["the beginning of a long one", "unknown", [error(long("a", 300))], `${long("a", 210)}... [${ID}]`],
		[
			"the beginning of a long one, and how many follow",
			"reject",
			[error(long("a", 300)), error("b")],
			`${long("a", 200)}... (+1 more) [${ID}]`,
		],
		[
			"what must be provisioned",
			"conditional",
			[note("newer"), reason("dynamic.set", "test", "set aggregator=4 when claiming it")],
			`conditional; set aggregator=4 when claiming it [${ID}]`,
		],
		["all of it when it just fits", "reject", [error(long("a", 213))], `${long("a", 213)} [${ID}]`],
		["other characters as escapes", "reject", [error("é\n\uffff\u{1f600}")], `\\u00e9\\u000a\\uffff\\u{1f600} [${ID}]`],
		["whole escapes", "reject", [error(`${long("a", 208)}é${long("b")}`)], `${long("a", 208)}... [${ID}]`],
		["a verdict without reasons", "reject", [], `reject [${ID}]`],
	];
	test.each(TEXTS)("%s", (_what, verdict, reasons, text) => {
		expect(shortText(verdict, reasons, ID)).toBe(text);
		expect(text.length).toBeLessThanOrEqual(228);
	});

	const messages = fc.array(
		fc
			.array(
				fc.oneof(
					fc.string({ unit: "binary" }),
					fc.constantFrom("\\n", '\\"', "\\\\", "\\u001b", "\\u{e0001}", "x".repeat(150), "é".repeat(40)),
				),
				{ minLength: 1 },
			)
			.map((parts) => `m${parts.join("")}`),
		{ maxLength: 200 },
	);
	const verdicts = fc.constantFrom<Verdict>("accept", "conditional", "unknown", "reject");

	test("is never longer than 228 bytes, is ASCII on one line, and ends with the id", () => {
		fc.assert(
			fc.property(verdicts, messages, (verdict, texts) => {
				const text = shortText(verdict, texts.map(error), ID);
				expect(Buffer.byteLength(text)).toBeLessThanOrEqual(228);
				expect(text).toMatch(/^[\x20-\x7e]+$/);
				expect(text.endsWith(` [${ID}]`)).toBe(true);
			}),
		);
	});

	test("accounts for every reason, and never ends inside an escape", () => {
		fc.assert(
			fc.property(
				messages.filter(({ length }) => length > 0),
				(texts) => {
					const text = shortText("reject", texts.map(error), ID);
					const [, shown = "", cut, more = "0"] =
						/^(.*?)(\.\.\.)?(?: \(\+(\d+) more\))? \[[0-9a-f]{12}\]$/.exec(text) ?? [];
					if (cut === undefined && !shown.includes("; ")) expect(Number(more)).toBe(texts.length - 1);
					if (cut !== undefined) expect(withoutEscapes(shown)).not.toMatch(/\\$|\\u[0-9a-f{]*$/);
				},
			),
		);
	});
});

function withoutEscapes(text: string): string {
	return text.replace(/\\u\{[0-9a-f]+\}|\\u[0-9a-f]{4}|\\[^u]/g, "");
}
