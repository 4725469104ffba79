import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { scanInProcess } from "../../src/agent/scan-process.ts";
import { REPOSITORY } from "../support/cli.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const directory = temporaryDirectory(afterAll);
const task = {
	places: { host: "cmp-01", sysfsRoot: "/sys", libvirtDir: "/nonexistent" },
	before: { generation: 0, digest: "" },
	stuck: [],
	remnants: [],
};

/** For longer than the watchdog waits for a sign of life. */
const SILENT_MS = 3_500;

/** what the scan does meanwhile, milliseconds, how it ends */
const SILENCE: readonly (readonly [string, string, number, object])[] = [
	[
		"works, or waits for a processor",
		"while (Date.now() < end);",
		SILENT_MS,
		{ kind: "failed", cause: "told at last" },
	],
	[
		"waits in the kernel",
		"Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, end - Date.now());",
		60_000,
		{ kind: "overrun" },
	],
];

test.each(SILENCE)("a scan that gives no sign of life because it %s", async (_name, silence, milliseconds, outcome) => {
	const program = join(directory, `${silence.length}.mjs`);
	const told = JSON.stringify(`${JSON.stringify({ error: "told at last" })}\n`);
	writeFileSync(program, `const end = Date.now() + ${milliseconds};\n${silence}\nprocess.stdout.write(${told});\n`);
	expect(await scanInProcess(program, task, new AbortController().signal)).toMatchObject(outcome);
});

/** On a host full of guests, the start of a process among it. */
test("a scan that had to wait for a processor is not given up because it waits for something else at last", async () => {
	const program = join(directory, "waits-at-last.mjs");
	const told = JSON.stringify(`${JSON.stringify({ error: "told at last" })}\n`);
	const alive = 'import { writeSync } from "node:fs";\nwriteSync(3, ".");';
	const busy = "for (const end = Date.now() + 2_500; Date.now() < end; );";
	const waits = "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);";
	writeFileSync(program, `${alive}\n${busy}\n${waits}\nprocess.stdout.write(${told});\n`);
	expect(await scanInProcess(program, task, new AbortController().signal)).toEqual({
		kind: "failed",
		cause: "told at last",
	});
});

/** Cgroups are frozen, and processes stopped by hand. */
test("a scan that went on while this process stood still is done, and not given up", async () => {
	const program = join(directory, "goes-on.mjs");
	const told = JSON.stringify(`${JSON.stringify({ error: "told at last" })}\n`);
	const beats = 'import { writeSync } from "node:fs";\nsetInterval(() => writeSync(3, "."), 250).unref();';
	writeFileSync(program, `${beats}\nsetTimeout(() => process.stdout.write(${told}), 1_000);\n`);
	const runner = join(directory, "runner.mjs");
	const run = `scanInProcess(${JSON.stringify(program)}, ${JSON.stringify(task)}, new AbortController().signal)`;
	const script = `console.log("begun");\nconst { kind, cause } = await ${run};\nconsole.log(kind, cause);\nprocess.exit();\n`;
	writeFileSync(runner, `import { scanInProcess } from "${REPOSITORY}dist/src/agent/scan-process.js";\n${script}`);
	const { pid, stdout } = spawn(process.execPath, [runner], { stdio: ["ignore", "pipe", "inherit"] });
	let output = "";
	stdout.on("data", (chunk) => {
		output += chunk;
	});
	await expect.poll(() => output).toBe("begun\n");
	await sleep(500);
	process.kill(pid ?? 0, "SIGSTOP");
	await sleep(SILENT_MS);
	process.kill(pid ?? 0, "SIGCONT");
	await expect.poll(() => output).toBe("begun\nfailed told at last\n");
});

test.each([
	['throw new TypeError("no such thing");', "TypeError: no such thing"],
	['require("node:fs").readFileSync("/nowhere");', "Error: ENOENT: no such file or directory, open '/nowhere'"],
	['process.stderr.write("ended\\n"); process.exit(1);', "ended"],
])("a scan that fails says by which mistake of ours: %s", async (script, cause) => {
	const program = join(directory, "throws.cjs");
	writeFileSync(program, script);
	expect(await scanInProcess(program, task, new AbortController().signal)).toEqual({
		kind: "failed",
		cause: `the scan ended with 1: ${cause}`,
	});
});

test.each([
	// More than SCAN_OPTIONS give it, and so much at once that the garbage collector soon gives up.
	[
		"const kept = []; for (;;) kept.push(new Array(10_000_000).fill(0));",
		/^the scan ended with SIGABRT: FATAL ERROR: .* heap out of memory$/,
	],
	// By the kernel, for want of memory.
	['process.kill(process.pid, "SIGKILL");', /^the scan ended with SIGKILL$/],
])("a scan that is ended from outside says why: %s", async (script, cause) => {
	const program = join(directory, "is-ended.cjs");
	writeFileSync(program, script);
	expect(await scanInProcess(program, task, new AbortController().signal)).toEqual({
		kind: "failed",
		cause: expect.stringMatching(cause),
	});
});

/** As without memory for it (ENOMEM): Node.js throws that, and has an event for a few others only. */
test("a scan that cannot be started is one that fails", async () => {
	const tooLong = { ...task, stuck: ["x".repeat(200_000)] };
	const scan = scanInProcess(join(directory, "never.mjs"), tooLong, new AbortController().signal);
	expect(await scan).toEqual({ kind: "failed", cause: "spawn E2BIG" });
});

/** Whoever is its parent then may leave it there as a zombie. */
function hasEnded(pid: number): boolean {
	return !existsSync(`/proc/${pid}`) || /\) Z /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

test("a scan that is given up leaves no program behind that it has asked", async () => {
	const told = join(directory, "asked");
	const program = join(directory, "asks.mjs");
	const script = [
		'import { spawn } from "node:child_process";',
		'import { writeFileSync } from "node:fs";',
		'const { pid } = spawn("/bin/sleep", ["60"], { detached: true, stdio: "ignore" });',
		`writeFileSync(${JSON.stringify(told)}, String(pid));`,
		"setInterval(() => undefined, 1_000);",
	];
	writeFileSync(program, script.join("\n"));
	const ending = new AbortController();
	const scan = scanInProcess(program, task, ending.signal);
	await expect.poll(() => existsSync(told) && readFileSync(told, "utf8")).toMatch(/^\d+$/);
	const asked = Number(readFileSync(told, "utf8"));
	expect(process.kill(asked, 0)).toBe(true);
	ending.abort();
	expect(await scan).toMatchObject({ kind: "failed" });
	await expect.poll(() => hasEnded(asked)).toBe(true);
});
