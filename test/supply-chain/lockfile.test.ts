import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { REPOSITORY } from "../support/cli.ts";
import { type Approved, type LockEntry, type Lockfile, problemsOf } from "./lockfile.ts";

const lockfile: Lockfile = JSON.parse(readFileSync(`${REPOSITORY}package-lock.json`, "utf8"));
const approved: Approved = parse(readFileSync(`${import.meta.dirname}/approved.yaml`, "utf8"), { schema: "failsafe" });

test("SEC-50, SEC-51: package-lock.json keeps the policy", () => {
	expect(problemsOf(lockfile, approved)).toEqual([]);
});

test("SEC-50: npm is told so", () => {
	const npmrc = readFileSync(`${REPOSITORY}.npmrc`, "utf8").split("\n");
	const OPTIONS = [
		"ignore-scripts=true",
		"save-exact=true",
		"engine-strict=true",
		"allow-git=none",
		"min-release-age=7",
		"omit-lockfile-registry-resolved=true",
	];
	for (const option of OPTIONS) expect(npmrc).toContain(option);
});

describe("what breaks the policy", () => {
	const axios = lockfile.packages["node_modules/axios"] ?? expect.fail("no axios");
	const zod = (changes: Readonly<Record<string, unknown>>): Lockfile => {
		const entry = { ...lockfile.packages["node_modules/zod"], ...changes } as LockEntry;
		return { ...lockfile, packages: { ...lockfile.packages, "node_modules/zod": entry } };
	};
	const added = (path: string, entry: LockEntry): Lockfile => ({
		...lockfile,
		packages: { ...lockfile.packages, [path]: entry },
	});
	const root = (dependencies: Readonly<Record<string, string>>) =>
		added("", { ...lockfile.packages[""], dependencies });

	const BREACHES: readonly (readonly [what: string, Lockfile, problem: string])[] = [
		["no checksum", zod({ integrity: undefined }), "node_modules/zod: integrity is none, expected sha512"],
		["a weak checksum", zod({ integrity: "sha1-abc=" }), "node_modules/zod: integrity is sha1-abc=, expected sha512"],
		[
			"a host",
			zod({ resolved: "https://host/zod.tgz" }),
			"node_modules/zod: resolved names a host, expected none: see .npmrc",
		],
		["a path", zod({ link: true }), "node_modules/zod: it is a link, expected a package of the registry"],
		["a script", zod({ hasInstallScript: true }), "node_modules/zod: it has an install script"],
		["a licence", zod({ license: "GPL-3.0-only" }), "node_modules/zod: its licence is GPL-3.0-only"],
		["no licence", zod({ license: undefined }), "node_modules/zod: its licence is none"],
		["another version", zod({ version: "4.6.8" }), "zod@4.6.8 is not in approved.yaml"],
		["one package less", zod({ dev: true }), "zod@4.6.7 is in approved.yaml and no longer in the lockfile"],
		[
			"one package more",
			added("node_modules/left-pad", { ...axios, version: "1.3.0" }),
			"left-pad@1.3.0 is not in approved.yaml",
		],
		[
			"one package more, for tests",
			added("node_modules/left-pad", { ...axios, version: "1.3.0", dev: true }),
			"left-pad is not in approved.yaml",
		],
		[
			"one package less, for tests",
			{
				...lockfile,
				packages: Object.fromEntries(
					Object.entries(lockfile.packages).filter(([path]) => path !== "node_modules/knip"),
				),
			},
			"knip is in approved.yaml and no longer in the lockfile",
		],
		[
			"a denied version, for tests too",
			added("node_modules/x/node_modules/axios", { ...axios, version: "1.14.1", dev: true }),
			"node_modules/x/node_modules/axios: version 1.14.1 is denied",
		],
		[
			"a denied package",
			added("node_modules/plain-crypto-js", { ...axios, version: "4.2.1", dev: true }),
			"node_modules/plain-crypto-js: version 4.2.1 is denied",
		],
		["a range of our own", root({ zod: "^4.6.7" }), "package.json: zod is ^4.6.7, expected an exact version"],
		...[
			"git+ssh://git@host/zod.git",
			"github:colinhacks/zod",
			"colinhacks/zod",
			"https://host/zod.tgz",
			"file:../zod",
		].map(
			(spec) =>
				[
					spec,
					zod({ dependencies: { other: spec } }),
					`node_modules/zod: other is ${spec}, expected a version of the registry`,
				] as const,
		),
		["an older lockfile", { ...lockfile, lockfileVersion: 2 }, "lockfileVersion is 2, expected 3"],
	];
	test.each(BREACHES)("%s", (_what, broken, problem) => expect(problemsOf(broken, approved)).toContain(problem));
});
