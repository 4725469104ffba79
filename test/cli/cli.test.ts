import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { novacompat } from "../support/cli.ts";
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
	return file(`${host}.json`, {
		schema_version: "1.0",
		host,
		devices: [mdev("0b3c5d2e-0000-4000-8000-000000000001", attributes)],
	});
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

	test("a sysfs root is as good as a snapshot file, and a device may be named", () => {
		const { status, stdout } = novacompat(
			...[
				"explain",
				"--source",
				`${HOSTS}/test_compute0/sys`,
				"--target",
				`${HOSTS}/test_compute1/sys`,
				"--device",
				"0000:3b:10.2",
			],
		);
		expect(status).toBe(2);
		expect(stdout).toBe(`REJECT  test_compute0 -> test_compute1
  error  version.minor_downgrade  software_version 1.3.0 needs at least 1.3; test_compute1 0000:3b:10.0 has 1.2.4
  error  version.not_in_range     interface_version 2.0.1 is not accepted by test_compute1 0000:3b:10.0 (accepts 2.0.2-2.0.4,2.1.0-)

  DEVICE        CANDIDATE     RESULT  REASONS
  0000:3b:10.2  0000:3b:00.0  reject  attribute.missing_target, attribute.differs
  0000:3b:10.2  0000:3b:10.0  reject  version.minor_downgrade, version.not_in_range
  0000:3b:10.2  0000:3b:10.2  reject  version.minor_downgrade, version.not_in_range
  0000:3b:10.2  0000:3b:10.4  reject  attribute.missing_target, attribute.differs
`);
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
			comparisons: [{ reasons: [] }],
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

test("snapshot prints what the agent would serve", () => {
	const { status, stdout } = novacompat("snapshot", "--sysfs-root", `${HOSTS}/cmp-02/sys`, "--host", "cmp-02");
	expect(status).toBe(0);
	expect(JSON.parse(stdout)).toMatchObject({ schema_version: "1.0", host: "cmp-02" });
});

describe("mistakes have an exit code and say what was expected", () => {
	const good = file("good.json", { schema_version: "1.0", host: "a", devices: [] });
	const config = file("typo.yaml", "transport_url: rabbit://u:secret@127.0.0.1:1/\nstandin_hosts: []\n");
	/** arguments, exit code, what is said */
	const MISTAKES: readonly (readonly [readonly string[], number, RegExp])[] = [
		[[], 64, /Usage: novacompat/],
		[["serv"], 64, /unknown command 'serv'/],
		[["explain", "--source", "x"], 64, /required option '--target <path>'/],
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
		[["explain", "--source", good, "--target", good, "--format", "xml"], 64, /Allowed choices are table, json/],
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

test("the demo shows an accept, a reject with its reasons, and an unknown", () => {
	const { status, stdout } = novacompat("demo");
	expect(status).toBe(0);
	for (const verdict of ["ACCEPT ", "REJECT ", "UNKNOWN (refused by policy)"]) expect(stdout).toContain(verdict);
	expect(stdout).toContain("Nova gets None: the migration goes on");
	expect(stdout).toMatch(/Nova gets MigrationPreCheckError: .*software_version 1\.3\.0.*; interface_version 2\.0\.1/);
});
