import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Output, runCommand } from "../../src/agent/command.ts";
import { writePrograms } from "../support/programs.ts";

/** Reliability, row 67: a tool that is missing, hangs, or prints something else costs 5 s at most and leaves nobody behind. */
const BOUND_MS = 5_000;

interface Run {
	readonly output: Output;
	readonly milliseconds: number;
}

async function run(script: string, args: readonly string[] = []): Promise<Run & { readonly path: string }> {
	const { tool } = writePrograms({ tool: script });
	return { ...(await timed(tool, args)), path: tool };
}

async function timed(path: string, args: readonly string[]): Promise<Run> {
	const started = performance.now();
	const output = await runCommand(path, args);
	return { output, milliseconds: performance.now() - started };
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
	expect(found.milliseconds).toBeLessThan(BOUND_MS);
	expect(await leftOvers(found.path)).toEqual([]);
});

test("a tool that is missing, or is no program", async () => {
	const { tool } = writePrograms({ tool: "true" });
	expect(await runCommand(`${tool}-not-installed`, [])).toEqual({ errno: "ENOENT" });
	const text = join(tool, "../text");
	writeFileSync(text, "no program");
	expect(await runCommand(text, [])).toEqual({ errno: "EACCES" });
});

describe("a tool that hangs", () => {
	const HANGS: readonly (readonly [what: string, script: string])[] = [
		["sleeps", "sleep 600"],
		["starts a child that sleeps and waits for it", "sleep 600 & wait"],
		["ignores what it is asked", "trap '' TERM INT HUP; while :; do sleep 1; done"],
		["prints a line now and then", "while :; do echo still here; sleep 0.2; done"],
	];
	test.concurrent.each(HANGS)(
		"%s",
		async (_what, script) => {
			const { output, milliseconds, path } = await run(`exec 9<$0\n${script}`);
			expect(output).toEqual({ errno: "ETIMEDOUT" });
			expect(milliseconds).toBeGreaterThan(4_000);
			expect(milliseconds).toBeLessThanOrEqual(BOUND_MS);
			expect(await leftOvers(path)).toEqual([]);
		},
		20_000,
	);

	test.concurrent("after it has answered, in a child that keeps its output open", async () => {
		const { output, milliseconds, path } = await run("exec 9<$0\necho answer\nsleep 600 &");
		expect(output).toEqual({ text: "answer\n" });
		expect(milliseconds).toBeLessThan(BOUND_MS);
		expect(await leftOvers(path)).toEqual([]);
	});
});

/**
 * Processes that have the tool's script open, and children of ours that ended and were not waited for; given a moment, for
 * whoever was killed to be gone.
 */
async function leftOvers(path: string): Promise<readonly string[]> {
	const until = performance.now() + 5_000;
	for (;;) {
		const found = readdirSync("/proc")
			.filter((name) => /^\d+$/.test(name))
			.filter((pid) => holds(pid, path) || isZombieOfOurs(pid));
		if (found.length === 0 || performance.now() > until) return found;
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

function holds(pid: string, path: string): boolean {
	try {
		return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
	} catch {
		return false;
	}
}

function isZombieOfOurs(pid: string): boolean {
	try {
		const [, state, parent] = /\) (\w) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
		return state === "Z" && Number(parent) === process.pid;
	} catch {
		return false;
	}
}
