import { spawnSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { print } from "../../src/cli/output.ts";
import { AGENT_MAIN, MAIN, novacompat, novacompatOnTerminal, REPOSITORY } from "../support/cli.ts";

const HOSTS = "config/samples/hosts";
const RANK = ["rank", "--source", `${HOSTS}/test_compute0`, "--device", "0000:3b:10.4", "--targets", HOSTS];
const EXPLAIN = ["explain", "--source", `${HOSTS}/test_compute0`, "--target", `${HOSTS}/test_compute1`];
const REJECTED = [...EXPLAIN, "--device", "0000:3b:10.2"];

describe("a list", () => {
	/** options, what is printed */
	const FORMS: readonly (readonly [options: readonly string[], printed: string])[] = [
		[["-f", "value", "-c", "host"], "test_compute1\ncmp-01\ncmp-02\n"],
		[["-f", "value", "-c", "host", "-c", "verdict"], "test_compute1 accept\ncmp-01 reject\ncmp-02 reject\n"],
		[
			["-f", "csv", "-c", "rank", "-c", "host", "-c", "allowed"],
			'"rank","host","allowed"\n1,"test_compute1","true"\n2,"cmp-01","false"\n3,"cmp-02","false"\n',
		],
		[["-c", "HOST", "-c", "free"], "HOST           FREE\ntest_compute1  1\ncmp-01         0\ncmp-02         0\n"],
		[
			["-f", "json", "-c", "bugfix"],
			`${JSON.stringify([{ bugfix: 4 }, { bugfix: null }, { bugfix: null }], null, 2)}\n`,
		],
		[
			["-f", "yaml", "-c", "rank", "-c", "bugfix"],
			"- rank: 1\n  bugfix: 4\n- rank: 2\n  bugfix: null\n- rank: 3\n  bugfix: null\n",
		],
		[["--quiet"], ""],
		[["-q", "-f", "json"], ""],
	];
	test.each(FORMS)("%j", (options, stdout) => {
		// The exit code is that of the best host, which is accepted with a warning.
		expect(novacompat(...RANK, ...options)).toEqual({ status: 1, stdout, stderr: "" });
	});
});

describe("one thing", () => {
	/** options, what is printed */
	const FORMS: readonly (readonly [options: readonly string[], printed: string])[] = [
		[["-f", "value", "-c", "verdict"], "reject\n"],
		[["-f", "value", "-c", "to", "-c", "codes"], "test_compute1\nversion.minor_downgrade,version.not_in_range\n"],
		[["-c", "from", "-c", "verdict"], "from     test_compute0\nverdict  reject\n"],
		[["-f", "yaml", "-c", "verdict", "-c", "mapping"], 'verdict: reject\nmapping: ""\n'],
		[["-f", "csv", "-c", "from", "-c", "verdict"], '"from","verdict"\n"test_compute0","reject"\n'],
	];
	test.each(FORMS)("%j", (options, stdout) => {
		expect(novacompat(...REJECTED, ...options)).toEqual({ status: 2, stdout, stderr: "" });
	});
});

/** every command that prints what it has found, where a broker is not needed */
const COMMANDS: readonly (readonly string[])[] = [
	RANK,
	EXPLAIN,
	["matrix", "--hosts", HOSTS],
	["doctor", "--sysfs-root", `${HOSTS}/cmp-01/sys`, "--libvirt-dir", `${HOSTS}/cmp-01/libvirt`],
];
test.each(COMMANDS)("YAML of %s says what its JSON says, and CSV has a row for each line of it", (...words) => {
	const [json, yaml, csv, value] = ["json", "yaml", "csv", "value"].map(
		(form) => novacompat(...words, "-f", form).stdout,
	);
	expect(parse(String(yaml))).toEqual(JSON.parse(String(json)));
	expect(String(csv).split("\n").length).toBeGreaterThan(2);
	expect(String(value)).not.toBe("");
});

test.each([[RANK], [EXPLAIN]])("a column that is not there: %s", (words) => {
	const { status, stdout, stderr } = novacompat(...words, "-c", "colour");
	expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
	expect(stderr).toMatch(/no column "colour", expected .*verdict, allowed, id, mapping, codes, reason$/m);
});

test("what a host says cannot break a line or a cell", () => {
	const written: string[] = [];
	const { write } = process.stdout;
	process.stdout.write = (text: string) => written.push(text) > 0;
	try {
		const output = {
			kind: "list" as const,
			data: [],
			text: () => "",
			columns: ["a", "b"],
			rows: [['x"y\n', "\u001b[2J"]],
		};
		print(output, { format: "csv" });
		print(output, { format: "value" });
	} finally {
		process.stdout.write = write;
	}
	expect(written).toEqual(['"a","b"\n"x""y\\u000a","\\u001b[2J"\n', 'x"y\\u000a \\u001b[2J\n']);
});

/** environment, options, whether there are colours */
const COLOURS: readonly (readonly [env: Readonly<Record<string, string>>, options: readonly string[], are: boolean])[] =
	[
		[{}, [], true],
		[{}, ["--no-color"], false],
		[{ FORCE_COLOR: "1" }, ["--no-color"], false],
		[{ NO_COLOR: "1" }, [], false],
		[{ TERM: "dumb" }, [], false],
		[{ CI: "true" }, [], false],
		[{}, ["-f", "value"], false],
	];
test.each(COLOURS)("on a terminal with %j and %j colours are %s", (env, options, are) => {
	const { status, terminal } = novacompatOnTerminal(env, ...RANK, ...options);
	expect({ status, are: terminal.includes("\u001b[") }).toEqual({ status: 1, are });
	expect(terminal).toContain("test_compute1");
});

test.each([[REJECTED], [["matrix", "--hosts", "config/samples/hosts"]]])(
	"%j on a disk that is full says no verdict",
	(words) => {
		const full = openSync("/dev/full", "w");
		const { status, stderr } = spawnSync(process.execPath, [MAIN, ...words], {
			cwd: REPOSITORY,
			encoding: "utf8",
			stdio: ["ignore", full, "pipe"],
		});
		closeSync(full);
		expect({ status, stderr }).toEqual({
			status: 64,
			stderr: "novacompat: standard output: ENOSPC: no space left on device, write\n",
		});
	},
);

const SAMPLE = "config/samples/migrations.jsonl";
test.each([
	["record", SAMPLE, "--output"],
	["replay", SAMPLE, "--output"],
	["replay", SAMPLE, "--junit"],
])("%s %s %s names the file for which a disk had no room", (...words) => {
	const { status, stderr } = novacompat(...words, "/dev/full");
	expect({ status, stderr }).toEqual({
		status: 64,
		stderr: "novacompat: /dev/full: ENOSPC: no space left on device, write\n",
	});
});

/** what is said, exit code, program */
const SPEAKING: readonly (readonly [words: readonly string[], status: number, program: string])[] = [
	[["config", "check", "nowhere.yaml"], 78, MAIN],
	[["explain"], 64, MAIN],
	[["--config-file", "nowhere.yaml"], 78, AGENT_MAIN],
];
test.each(SPEAKING)("%j exits with %d, also where nobody takes what it says", (words, status, program) => {
	const full = '"$@" 2>/dev/full; echo $?';
	const gone = '{ "$@" 2>&1 >/dev/null; echo $? >&3; } | sleep 0';
	const run = ["-c", `exec 3>&1; ${full}; ${gone}`, "-", process.execPath, program, ...words];
	const { stdout } = spawnSync("bash", run, { cwd: REPOSITORY, encoding: "utf8" });
	expect(stdout.trim().split("\n")).toEqual([`${status}`, `${status}`]);
});
