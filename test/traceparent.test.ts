import { expect, test } from "vitest";
import { newSpanIn, readTraceparent, traceIds } from "../src/traceparent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const VALID = `00-${TRACE}-${SPAN}-01`;

test.each([VALID, `00-${TRACE}-${SPAN}-00`, `00-${TRACE}-${SPAN}-ff`, `00-${"0".repeat(31)}1-${"0".repeat(15)}1-01`])(
	"%s is one",
	(header) => expect(readTraceparent(header)).toBe(header),
);

/** what is wrong, header */
const NONE: readonly (readonly [string, unknown])[] = [
	["absent", undefined],
	["empty", ""],
	["no text", Buffer.from(VALID)],
	["a list of one", [VALID]],
	["two, as HTTP joins them", `${VALID}, ${VALID}`],
	["another version", VALID.replace(/^00/, "01")],
	["the version that there is none of", VALID.replace(/^00/, "ff")],
	["upper case", VALID.toUpperCase()],
	["a trace that is all zeros", VALID.replace(TRACE, "0".repeat(32))],
	["a span that is all zeros", VALID.replace(SPAN, "0".repeat(16))],
	["a digit short", VALID.slice(0, -1)],
	["a digit more", `${VALID}0`],
	["fields of later versions", `${VALID}-00`],
	["a line more", `${VALID}\n`],
	["a header more", `${VALID}\r\nX-Forged: 1`],
	["blanks", ` ${VALID}`],
	["a megabyte", "0".repeat(1 << 20)],
];
test.each(NONE)("%s: none", (_what, header) => expect(readTraceparent(header)).toBe(undefined));

test("a new span is in the same trace, and has its flags", () => {
	const made = newSpanIn(VALID);
	expect(readTraceparent(made)).toBe(made);
	const { trace_id, span_id } = traceIds(made);
	expect([trace_id, made.slice(-3)]).toEqual([TRACE, "-01"]);
	expect(span_id).not.toBe(SPAN);
	expect(traceIds(VALID)).toEqual({ trace_id: TRACE, span_id: SPAN });
});
