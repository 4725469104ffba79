import { expect, test } from "vitest";
import { progressBar } from "../../../src/cli/replay/progress.ts";
import { novacompat, novacompatOnTerminal } from "../../support/cli.ts";

const SAMPLE = "config/samples/migrations.jsonl";

/** What is written to a terminal of so many columns. */
function drawn(columns: number | undefined, steps: readonly (readonly [done: number, note: string])[], total = 8) {
	const written: string[] = [];
	const stream = { isTTY: columns !== undefined, columns, write: (text: string) => written.push(text) };
	const progress = progressBar(total, stream as unknown as NodeJS.WriteStream);
	for (const [done, note] of steps) progress(done, note);
	return written;
}

const CLEAR = "\r\u001b[K";

test("a bar that is as full as the work is done, and is gone at the end", () => {
	expect(
		drawn(80, [
			[2, "1 different"],
			[8, ""],
		]),
	).toEqual([`${CLEAR}[${"#".repeat(8)}${".".repeat(24)}]  2/8  1 different`, CLEAR]);
});

test("it is drawn ten times a second at most", () => {
	const steps = Array.from({ length: 1000 }, (_, done) => [done, ""] as const);
	expect(drawn(80, steps, 1001).length).toBeLessThan(5);
});

test("no line is longer than the terminal is wide", () => {
	for (const text of drawn(20, [[2, "1 different"]])) expect(text.length).toBe(CLEAR.length + 19);
});

test("nothing where there is no terminal", () => {
	expect(
		drawn(undefined, [
			[2, ""],
			[8, ""],
		]),
	).toEqual([]);
	expect(novacompat("replay", SAMPLE).stderr).toBe("");
});

test("replay draws it on a terminal, before its result", () => {
	const { status, terminal } = novacompatOnTerminal({}, "replay", SAMPLE);
	expect(status).toBe(0);
	expect(terminal.startsWith(`${CLEAR}[${".".repeat(32)}]   0/13  `)).toBe(true);
	expect(terminal.endsWith(`${CLEAR}13 replayed: 13 as recorded, 0 different\r\n`)).toBe(true);
});
