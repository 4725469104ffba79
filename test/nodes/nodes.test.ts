import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MAIN, REPOSITORY } from "../support/cli.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { unitOptions } from "../support/units.ts";

/** SEC-54: the oldest that package.json allows, and of each newer line with support the last one. Binaries of the npm registry. */
const VERSIONS = ["20.19.0", "22.23.3", "24.21.0"];

const HOSTS = "config/samples/hosts";
/** What is compared, byte for byte. */
const COMMANDS: readonly (readonly string[])[] = [
	["replay", "config/samples/migrations.jsonl"],
	["replay", "recording.jsonl"],
	[
		"replay",
		"config/samples/recordings/2026.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json",
		"--hosts",
		HOSTS,
	],
	["record", "config/samples/migrations.jsonl"],
	[
		"snapshot",
		"--host",
		"h",
		"--sysfs-root",
		`${HOSTS}/test_compute0/sys`,
		"--libvirt-dir",
		`${HOSTS}/test_compute0/libvirt`,
	],
	["explain", "--source", `${HOSTS}/test_compute0`, "--target", `${HOSTS}/test_compute1`, "--format", "json"],
	["rank", "--source", `${HOSTS}/test_compute0`, "--device", "0000:3b:10.4", "--targets", HOSTS, "--format", "json"],
	["matrix", "--hosts", HOSTS, "--format", "html"],
	["policy", "check", "config/policy.yaml"],
	["config", "check", "config/novacompat.yaml"],
	["config", "check", "package.json"],
	["serve", "--config-file", "package.json"],
	["agent", "--listen", "nowhere"],
];

/** All that needs no broker, no browser, and nothing but this program: what differs between versions of Node.js is there. */
const UNIT = [
	"agent",
	"compat",
	"journal",
	"nova",
	"policy",
	"recording",
	"snapshot",
	"config.test",
	"nova-conf.test",
	"test/log",
	"messaging/message",
	"messaging/json",
	"messaging/compression",
];

const directory = temporaryDirectory(afterAll);
const nodeOf = (version: string) => join(directory, "node_modules", `node-${version}`, "bin/node");

beforeAll(() => {
	const platform = `${process.platform}-${process.arch}`;
	const packages = VERSIONS.map((version) => `node-${version}@npm:node-${platform}@${version}`);
	execFileSync("npm", ["install", "--no-save", "--ignore-scripts", "--silent", "--prefix", directory, ...packages]);
	// The same, with one answer that was another: what is told of a difference is compared too.
	const recording = readFileSync(`${REPOSITORY}config/samples/migrations.jsonl`, "utf8");
	writeFileSync(join(directory, "recording.jsonl"), recording.replace('"verdict":"reject"', '"verdict":"accept"'));
});

const run = (node: string, words: readonly string[], options: readonly string[] = []) => {
	const inPlace = words.map((word) => (word === "recording.jsonl" ? join(directory, word) : word));
	const { status, stdout, stderr } = spawnSync(node, [...options, MAIN, ...inPlace], {
		cwd: REPOSITORY,
		encoding: "buffer",
	});
	return { status, stdout: stdout.toString("latin1"), stderr: stderr.toString("latin1") };
};

test("every name of tests is that of some", () => {
	const files = readdirSync(`${REPOSITORY}test`, { recursive: true, encoding: "utf8" }).map((file) => `test/${file}`);
	const tests = files.filter((file) => file.endsWith(".test.ts"));
	expect(UNIT.filter((name) => !tests.some((file) => file.includes(name)))).toEqual([]);
});

describe.each(VERSIONS)("on Node.js %s", (version) => {
	test("which it is", () => {
		expect(execFileSync(nodeOf(version), ["--version"], { encoding: "utf8" })).toBe(`v${version}\n`);
	});

	test.each(COMMANDS)("novacompat %s %s %s says the same, byte for byte", (...words) => {
		const here = run(process.execPath, words);
		expect(here.stdout + here.stderr).not.toBe("");
		expect(here.status).not.toBe(255);
		expect(run(nodeOf(version), words, unitOptions("serve"))).toEqual(here);
	});

	test("the replies to the recording of the samples are the same on the wire, byte for byte", () => {
		const output = join(directory, `replies-${version}.jsonl`);
		const words = ["replay", "config/samples/migrations.jsonl", "--output", output];
		expect(run(nodeOf(version), words, unitOptions("serve"))).toMatchObject({ status: 0, stderr: "" });
		const golden = readFileSync(`${REPOSITORY}test/cli/golden/migrations.replies.jsonl`);
		expect(readFileSync(output).equals(golden)).toBe(true);
	});

	test("the unit tests pass", () => {
		const vitest = `${REPOSITORY}node_modules/vitest/vitest.mjs`;
		const words = [
			vitest,
			"run",
			"--config",
			"test/vitest.config.ts",
			"--retry",
			"2",
			"--reporter",
			"dot",
			...UNIT.map((name) => `test/${name}`),
		];
		const { status, stdout, stderr } = spawnSync(nodeOf(version), words, { cwd: REPOSITORY, encoding: "utf8" });
		expect(status, stdout + stderr).toBe(0);
		expect(stdout).toMatch(/Tests .*\d{3,} passed/);
	});
});
