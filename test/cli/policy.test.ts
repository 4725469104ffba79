import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { novacompat } from "../support/cli.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

function check(text: string) {
	const path = join(directory, "policy.yaml");
	writeFileSync(path, text);
	return novacompat("policy", "check", path);
}

test("a good policy is ok", () => {
	expect(novacompat("policy", "check", "config/policy.yaml")).toMatchObject({
		status: 0,
		stdout: "config/policy.yaml: ok\n",
		stderr: "",
	});
});

test("what is odd about a policy is a warning with its place", () => {
	const { status, stdout } = check("rules: [{ attribute: base_type, kind: equal }]\n");
	expect(status).toBe(1);
	expect(stdout).toMatch(/policy\.yaml:1:9: the rule can never fire: base_type is judged as the device's own/);
});

test("a policy that a reload could take half written is odd", () => {
	const { status, stdout } = check("direction: both\n");
	expect(status).toBe(1);
	expect(stdout).toMatch(/policy\.yaml:2:1: no "\.\.\." at the end: a reload cannot tell /);
});

test("what is no policy cannot be used", () => {
	const { status, stdout, stderr } = check("unknown: { agent.identity: accept }\n");
	expect(status).toBe(78);
	expect(stdout).toBe("");
	expect(stderr).toMatch(/policy\.yaml:1:28: unknown\.agent\.identity: agent\.identity is never accepted/);
});

test("explain says that an override has expired", () => {
	const path = join(directory, "expired.yaml");
	const times = "created: 2020-08-04T10:00:00Z, expires: 2020-08-04T20:00:00Z";
	writeFileSync(path, `overrides: [{ author: jane, reason: r, ${times}, scope: { device: d } }]\n`);
	const host = "config/samples/hosts/cmp-01/sys";
	const { stderr } = novacompat("explain", "--source", host, "--target", host, "--policy", path);
	expect(stderr).toBe(`novacompat: ${path}: the override of jane has expired (2020-08-04T20:00:00Z) and is ignored\n`);
});
