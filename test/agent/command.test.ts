import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Output, runCommand } from "../../src/agent/command.ts";
import { leftOvers } from "../support/left-overs.ts";
import { ownTime } from "../support/own-time.ts";
import { writePrograms } from "../support/programs.ts";

/** Reliability, row 67: a tool that is missing, hangs, or prints something else costs 5 s at most and leaves nobody behind. */
const BOUND_MS = 5_000;

interface Run {
	readonly output: Output;
	readonly milliseconds: number;
	/** Those of our own. */
	readonly passed: number;
}

async function run(script: string, args: readonly string[] = []): Promise<Run & { readonly path: string }> {
	const { tool } = writePrograms({ tool: script });
	return { ...(await timed(tool, args)), path: tool };
}

async function timed(path: string, args: readonly string[]): Promise<Run> {
	const [started, passed] = [performance.now(), ownTime()];
	const output = await runCommand(path, args);
	return { output, milliseconds: performance.now() - started, passed: passed() };
}

/** script of the tool, what is known afterwards */
const SAYS: readonly (readonly [what: string, script: string, output: Output])[] = [
	["prints", "echo '{}'", { text: "{}\n" }],
	["prints nothing", "true", { text: "" }],
	["complains, and prints all the same", "echo oops >&2; echo fine", { text: "fine\n" }],
	["fails", "echo half; exit 1", { errno: "EIO" }],
	["is killed", "kill -9 $$", { errno: "EIO" }],
	["floods", "yes novacompat", { errno: "EFBIG" }],
	["prints exactly 1 MiB", "head -c 1048576 /dev/zero | tr '\\0' x", { text: "x".repeat(1_048_576) }],
	["prints a byte more", "head -c 1048577 /dev/zero | tr '\\0' x", { errno: "EFBIG" }],
	["prints what is no ASCII", "printf 'Aktiviert f\\303\\274r'", { errno: "EILSEQ" }],
	["prints NULs", "printf 'a\\000b'", { errno: "EILSEQ" }],
	["asks for input", "read line && echo got || echo nothing", { text: "nothing\n" }],
	// Otherwise nvidia-smi and devlink would answer in the words of whoever started the agent.
	["prints its environment", "/usr/bin/env | /usr/bin/sort", { text: "LC_ALL=C\nPWD=/\n" }],
	["prints its arguments", 'for one in "$@"; do echo "$one"; done', { text: "a b\n$(id)\n" }],
];
test.each(SAYS)("a tool that %s", async (_what, script, output) => {
	const found = await run(script, ["a b", "$(id)"]);
	expect(found.output).toEqual(output);
	expect(found.passed).toBeLessThan(BOUND_MS);
	expect(await leftOvers(found.path)).toEqual([]);
});

test("a tool that is missing, or is no program", async () => {
	const { tool } = writePrograms({ tool: "true" });
	expect(await runCommand(`${tool}-not-installed`, [])).toEqual({ errno: "ENOENT" });
	const text = join(tool, "../text");
	writeFileSync(text, "no program");
	expect(await runCommand(text, [])).toEqual({ errno: "EACCES" });
});

/** Node.js throws that and ENOMEM, which is what happens; it has an event for a few others only. */
test("a tool that cannot be started for another reason", async () => {
	expect((await run("true", ["x".repeat(200_000)])).output).toEqual({ errno: "E2BIG" });
});

describe("a tool that hangs", () => {
	/** script, what is known afterwards */
	const HANGS: readonly (readonly [what: string, script: string, output: Output])[] = [
		["sleeps", "sleep 600", { errno: "ETIMEDOUT" }],
		["starts a child that sleeps and waits for it", "sleep 600 & wait", { errno: "ETIMEDOUT" }],
		["ignores what it is asked", "trap '' TERM INT HUP; while :; do sleep 1; done", { errno: "ETIMEDOUT" }],
		["prints a line now and then", "while :; do echo still here; sleep 0.2; done", { errno: "ETIMEDOUT" }],
		["has answered, in a child that keeps its output open", "echo answer\nsleep 600 &", { text: "answer\n" }],
	];
	test(`all at once: ${HANGS.map(([what]) => what).join("; ")}`, { timeout: 30_000 }, async () => {
		const runs = await Promise.all(HANGS.map(([, script]) => run(`exec 9<$0\n${script}`)));
		for (const [index, { output, milliseconds, passed, path }] of runs.entries()) {
			const [what, , expected] = HANGS[index] ?? expect.fail();
			expect([what, output]).toEqual([what, expected]);
			if ("errno" in output) expect(milliseconds).toBeGreaterThan(4_000);
			expect(passed).toBeLessThanOrEqual(BOUND_MS);
			expect([what, await leftOvers(path)]).toEqual([what, []]);
		}
	});
});
