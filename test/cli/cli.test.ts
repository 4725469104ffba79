import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { novacompat, REPOSITORY } from "../support/cli.ts";
import { mdev } from "../support/devices.ts";

const HOSTS = "config/samples/hosts";
const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, content: unknown): string {
	const path = join(directory, name);
	writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
	return path;
}

function snapshotFile(host: string, attributes: Record<string, string>): string {
	return file(`${host}.json`, snapshotOf(host, attributes));
}

function snapshotOf(host: string, attributes: Record<string, string>) {
	return { schema_version: "1.0", host, devices: [mdev("0b3c5d2e-0000-4000-8000-000000000001", attributes)] };
}

describe("explain: the exit code is the verdict", () => {
	/** source, target, exit code, first word */
	const VERDICTS: readonly (readonly [Record<string, string>, Record<string, string>, number, string])[] = [
		[{ software_version: "1.0.0" }, { software_version: "1.1.0" }, 0, "ACCEPT"],
		[{ software_version: "1.0.1" }, { software_version: "1.0.0" }, 1, "ACCEPT"],
		[{ software_version: "1.1.0" }, { software_version: "1.0.0" }, 2, "REJECT"],
		[{}, {}, 3, "UNKNOWN"],
	];
	test.each(VERDICTS)("%j to %j exits with %i", (source, target, status, word) => {
		const result = novacompat("explain", "--source", snapshotFile("a", source), "--target", snapshotFile("b", target));
		expect(result).toMatchObject({ status, stderr: "" });
		expect(result.stdout.split(/\s/, 1)[0]).toBe(word);
	});

	test("a sysfs root or a host tree is as good as a snapshot file, and a device may be named", () => {
		const device = ["--device", "0000:3b:10.2"];
		const roots = ["--source", `${HOSTS}/test_compute0/sys`, "--target", `${HOSTS}/test_compute1/sys`];
		const trees = ["--source", `${HOSTS}/test_compute0`, "--target", `${HOSTS}/test_compute1`];
		const result = novacompat("explain", ...roots, ...device);
		expect(result).toMatchObject({ status: 2, stdout: expect.stringContaining("comes closest to 0000:3b:10.0") });
		expect(novacompat("explain", ...trees, ...device)).toEqual(result);
	});

	test("of several targets each has a block, and the best one is the exit code", () => {
		const source = snapshotFile("a", { software_version: "1.1.0" });
		const older = snapshotFile("b", { software_version: "1.0.0" });
		const newer = snapshotFile("c", { software_version: "1.2.0" });
		const { status, stdout } = novacompat("explain", "--source", source, "--target", older, newer);
		expect(stdout.match(/^[A-Z]+ {2}.*$/gm)).toEqual([
			expect.stringMatching(/^REJECT {2}a -> b {2}\[[0-9a-f]{12}\]$/),
			expect.stringMatching(/^ACCEPT {2}a -> c {2}\[[0-9a-f]{12}\]$/),
		]);
		expect(status).toBe(0);
		const json = novacompat("explain", "--source", source, "--target", older, newer, "--format", "json");
		expect(JSON.parse(json.stdout)).toMatchObject([
			{ target_host: "b", verdict: "reject" },
			{ target_host: "c", verdict: "accept" },
		]);
	});

	test("JSON is the decision with its comparisons", () => {
		const paths = [snapshotFile("a", { software_version: "1.0.0" }), snapshotFile("b", { software_version: "1.1.0" })];
		const { stdout } = novacompat(
			"explain",
			"--source",
			paths[0] ?? "",
			"--target",
			paths[1] ?? "",
			"--format",
			"json",
		);
		expect(JSON.parse(stdout)).toMatchObject({
			verdict: "accept",
			allowed: true,
			reasons: [],
			source_host: "a",
			target_host: "b",
			devices: [{ verdict: "accept", changes: [], obligations: [] }],
			comparisons: [{ verdict: "accept", reasons: [] }],
		});
	});

	test("a policy changes the verdict", () => {
		const policy = file("policy.yaml", "newer_source: reject\n");
		const target = { interface_version: "2.1.3", interface_version_compatible: "2.1.0-" };
		const hosts = [
			"--source",
			snapshotFile("a", { interface_version: "2.7.0" }),
			"--target",
			snapshotFile("b", target),
		];
		expect(novacompat("explain", ...hosts).status).toBe(1);
		expect(novacompat("explain", ...hosts, "--policy", policy).status).toBe(2);
	});

	test("control characters of a host are escaped", () => {
		const source = snapshotFile("a", { software_version: "1.0.0\u001b[2J\n" });
		const { stdout } = novacompat(
			"explain",
			"--source",
			source,
			"--target",
			snapshotFile("b", { software_version: "1.0.0" }),
		);
		expect(stdout).not.toContain("\u001b");
	});
});

describe("rank", () => {
	const source = () => snapshotFile("a", { software_version: "1.1.0" });

	test("orders the hosts of a directory, without the source itself; the exit code is that of the first", () => {
		const folder = mkdtempSync(join(directory, "fleet-"));
		for (const [host, software_version] of [
			["a", "1.1.0"],
			["b", "1.0.0"],
			["c", "1.2.1"],
			["d", "1.2.3"],
		] as const) {
			writeFileSync(join(folder, `${host}.json`), JSON.stringify(snapshotOf(host, { software_version })));
		}
		const { status, stdout } = novacompat("rank", "--source", source(), "--targets", folder);
		expect(stdout.split("\n").map((line) => line.split(/ {2,}/).slice(0, 4).join(" "))).toEqual([
			" HOST VERDICT BUGFIX",
			"1 d accept 3",
			"2 c accept 1",
			"3 b reject -",
			"",
		]);
		expect(status).toBe(0);
		const json = novacompat("rank", "--source", source(), "--targets", folder, "--format", "json");
		expect(JSON.parse(json.stdout)).toMatchObject({
			source_host: "a",
			hosts: [
				{ host: "d", verdict: "accept", bugfix: 3, free_capacity: 1, reasons: [] },
				{ host: "c", verdict: "accept", bugfix: 1 },
				{ host: "b", verdict: "reject", bugfix: null, reasons: [{ code: "version.minor_downgrade" }] },
			],
		});
		const best = novacompat("rank", "--source", source(), "--targets", folder, "--limit", "1");
		expect(best.stdout.split("\n").slice(1)).toEqual([
			"1  d     accept   3       1     -",
			"2 more; of all 3: 2 accept, 1 reject",
			"",
		]);
	});

	test("nowhere to go is a reject", () => {
		const worse = snapshotFile("b", { software_version: "1.0.0" });
		expect(novacompat("rank", "--source", source(), "--targets", worse).status).toBe(2);
		expect(novacompat("rank", "--source", source(), "--targets", source())).toMatchObject({ status: 2, stderr: "" });
	});
});

/** Run `npm run test:unit -- test/cli -u` to write them anew, and read the difference. */
describe("the output for the sample hosts", () => {
	const GOLDEN: readonly (readonly [string, readonly string[], number])[] = [
		["explain-contest", ["explain", "--source", "cmp-01", "--target", "cmp-02"], 2],
		["explain-reject", ["explain", "--source", "test_compute0", "--target", "test_compute1", "cmp-02"], 2],
		["explain-json", ["explain", "--source", "test_compute0", "--target", "test_compute1", "--format", "json"], 2],
		["rank", ["rank", "--source", "test_compute0", "--device", "0000:3b:10.4", "--targets", "."], 1],
		["rank-json", ["rank", "--source", "cmp-01", "--targets", "cmp-02", "--format", "json"], 2],
		["matrix", ["matrix", "--hosts", "."], 0],
		["matrix-json", ["matrix", "--hosts", ".", "--format", "json"], 0],
	];
	test.each(GOLDEN)("%s", async (name, args, status) => {
		const paths = args.map((arg) => (/^(\.|cmp-\d+|test_compute\d)$/.test(arg) ? join(HOSTS, arg) : arg));
		const result = novacompat(...paths);
		expect(result).toMatchObject({ status, stderr: "" });
		// Every change of the built-in policy would change the ids.
		const stdout = result.stdout.replaceAll(/(\[|"id": ")[0-9a-f]{12}(?=[\]"])/g, "$1<id>");
		await expect(stdout).toMatchFileSnapshot(`golden/${name}.txt`);
	});

	test("in colour only on a terminal", () => {
		const { stdout } = novacompat("rank", "--source", `${HOSTS}/test_compute0`, "--targets", HOSTS);
		expect(stdout).not.toContain("\u001b");
	});
});

describe("what no agent is started with", () => {
	const rows: readonly (readonly [option: string, value: string, says: string])[] = [
		["--host", "", "expected a Nova host name"],
		["--host", "a b", "expected a Nova host name"],
		["--sysfs-root", "", "expected a path"],
		["--libvirt-dir", "", "expected a path"],
		["--libvirt-config-dir", "", "expected a path"],
		["--overlay-dir", "", "expected a path"],
	];
	const cases = ["snapshot", "doctor"].flatMap((command) => rows.map((row) => [command, ...row] as const));
	test.each(cases)("novacompat %s %s %j is refused with 64", (command, option, value, says) => {
		const { status, stdout, stderr } = novacompat(command, `${option}=${value}`);
		expect({ status, stdout }).toEqual({ status: 64, stdout: "" });
		expect(stderr).toContain(`${option} is ${JSON.stringify(value)}, ${says}`);
	});
});

test("snapshot prints what the agent would serve", () => {
	const { status, stdout } = novacompat("snapshot", "--sysfs-root", `${HOSTS}/cmp-02/sys`, "--host", "cmp-02");
	expect(status).toBe(0);
	expect(JSON.parse(stdout)).toMatchObject({ schema_version: "1.3", host: "cmp-02" });
});

describe("mistakes have an exit code and say what was expected", () => {
	const good = file("good.json", { schema_version: "1.0", host: "a", devices: [] });
	const config = file("typo.yaml", "transport_url: rabbit://u:secret@127.0.0.1:1/\nstandin_hosts: []\n");
	/** arguments, exit code, what is said */
	const MISTAKES: readonly (readonly [readonly string[], number, RegExp])[] = [
		[[], 64, /Usage: novacompat/],
		[["serv"], 64, /unknown command 'serv'/],
		[["explain", "--source", "x"], 64, /expected --source and --target, or --journal/],
		[["explain", "--source", "none.json", "--target", good], 64, /ENOENT: no such file or directory, stat 'none.json'/],
		[
			["explain", "--source", "README.md", "--target", good],
			64,
			/README.md is not JSON, expected a snapshot or a sysfs root/,
		],
		[["explain", "--source", "package.json", "--target", good], 64, /package.json is no snapshot/],
		[["explain", "--source", "src", "--target", good], 64, /sysfs root src has no bus directory/],
		[["explain", "--source", good, "--target", good], 64, /a has no device that an instance could use/],
		[["explain", "--source", good, "--target", good, "--device", "x"], 64, /a has no device "x"/],
		[
			["explain", "--source", good, "--target", good, "--format", "xml"],
			64,
			/Allowed choices are table, json, yaml, value, csv\./,
		],
		[
			["rank", "--source", good, "--targets", "src"],
			64,
			/src has no hosts, expected snapshot files \*\.json or host trees/,
		],
		[
			["rank", "--source", good, "--targets", good, "--limit", "0"],
			64,
			/'--limit <hosts>' argument '0' is invalid. Expected a whole number of at least 1/,
		],
		[["matrix", "--hosts", good, good], 64, /two of the snapshots are of host "a"/],
		[["matrix", "--hosts", good, "--format", "xml"], 64, /Allowed choices are table, json, yaml, value, csv, html/],
		[["snapshot", "--sysfs-root", "/nonexistent"], 64, /sysfs root \/nonexistent cannot be used \(ENOENT\)/],
		[["agent", "--listen", "localhost"], 64, /--listen is "localhost", expected address:port/],
		[["agent", "--sysfs-root", "/nonexistent"], 64, /sysfs root \/nonexistent/],
		[["serve", "--config-file", "none.yaml"], 78, /none.yaml: ENOENT/],
		[["serve", "--config-file", config], 78, /typo.yaml:2:1: unknown option "standin_hosts"/],
	];
	test.each(MISTAKES)("novacompat %j exits with %i", (args, status, message) => {
		const result = novacompat(...args);
		expect(result.stderr).toMatch(message);
		expect(result.stderr).not.toContain("secret");
		expect(result.stderr).not.toMatch(/^\s+at /m);
		expect(result.status).toBe(status);
	});
});

test("the demo shows an accept, a reject with its reasons, and an unknown, as README has it", () => {
	const { status, stdout } = novacompat("demo");
	expect(status).toBe(0);
	const lasting = (text: string) => text.replaceAll(/(?<=127\.0\.0\.1:)\d+|\d+\.\d(?= s ago)/g, "N").trim();
	expect(lasting(readFileSync(`${REPOSITORY}README.md`, "utf8"))).toContain(lasting(stdout));
	for (const verdict of ["ACCEPT ", "REJECT ", "UNKNOWN (refused by policy)"]) expect(stdout).toContain(verdict);
	expect(stdout).toContain("Nova gets None: the migration goes on");
	expect(stdout).toMatch(/Nova gets MigrationPreCheckError: .*software_version 1\.3\.0.*; interface_version 2\.0\.1/);
});
