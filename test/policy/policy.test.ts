import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { lintPolicy } from "../../src/policy/lint.ts";
import { loadPolicy, readPolicy } from "../../src/policy/policy.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
	const path = join(directory, "policy.yaml");
	writeFileSync(path, text);
	return path;
}

const override = (scope: string, created = "2026-08-21T10:00:00Z", expires = "2026-08-21T20:00:00Z") =>
	`overrides:\n  - { author: jane, reason: r, created: ${created}, expires: "${expires}", scope: ${scope} }\n`;

describe("a policy that cannot be meant is refused with its place", () => {
	test("one word for everything is named, too", () => {
		expect(() => readPolicy(file("unknown: maybe\n"))).toThrow(/Invalid option: .*, got "maybe"$/);
	});

	/** text, line and column, what is said */
	const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
		["unknown: maybe\n", "1:10", /Invalid option/],
		["unknown: { agent.timeout: maybe }\n", "1:27", /unknown\.agent\.timeout/],
		["unknown: { type.mismatch: accept }\n", "1:27", /"type.mismatch" is not the code of an unknown reason/],
		["unknown: { agent.tls: accept_stale }\n", "1:23", /agent\.tls is never accepted/],
		[
			"unknown: { attribute.unreadable: accept_stale }\n",
			"1:34",
			/no older snapshot helps against attribute\.unreadable: accept_stale is for \*, agent\.unreachable, .*agent\.\*/,
		],
		[
			"rules:\n  - { attribute: a, kind: one_of, values: [x], settable: b }\n",
			"2:5",
			/expected values or lists, not both/,
		],
		["unknown: { agent.identity: accept }\n", "1:28", /agent\.identity is never accepted/],
		["unknown:\n  agent.bad_reply: accept\n", "2:20", /agent\.bad_reply is never accepted/],
		["classes:\n  - { name: a, match: {}, unknown: { agent.identity: accept } }\n", "2:54", /never accepted/],
		["rules:\n  - { attribute: a, kind: equal, min: b }\n", "2:34", /unknown option "min"/],
		["rules:\n  - { attribute: a, kind: in_range }\n", "2:5", /expected either range, or min, max or both/],
		["rules:\n  - { attribute: a, kind: in_range, min: b, range: c }\n", "2:5", /expected either range/],
		["rules:\n  - { attribute: a, kind: one_of, values: [b], lists: [c] }\n", "2:5", /not both/],
		["rules:\n  - { attribute: a, kind: equal, severity: fatal }\n", "2:44", /severity/],
		["rules:\n  - { attribute: a, kind: equal, date: yesterday }\n", "2:40", /expected a date/],
		["classes:\n  - { name: A, match: {} }\n", "2:13", /lower-case/],
		["classes:\n  - { name: a, match: { kind: gpu } }\n", "2:31", /"gpu" is no kind of device, expected pci, mdev/],
		["classes:\n  - { name: a, match: {} }\n  - { name: a, match: {} }\n", "3:13", /the class "a" is there twice/],
		[
			"classes:\n  - { name: a, match: {}, migration: known, refuse: { message: no } }\n",
			"2:53",
			/a class whose migration is known cannot be refused/,
		],
		...["\u00e9a", "a\u00e9", "a".repeat(201)].map(
			(author) =>
				[
					override("{ device: d }").replace("jane", author),
					"2:15",
					/author: expected 1 to 200 printable ASCII/,
				] as const,
		),
		[override("{}"), "2:103", /expected a host, a device or a code/],
		[override("{ code: no.such }"), "2:111", /"no\.such" is not a reason code/],
		[override("{ code: agent.identity }"), "2:111", /cannot be overridden/],
		[override("{ code: capacity.exhausted }"), "2:111", /cannot be overridden/],
		[override("{ device: d }", "2026-08-21T10:00:00Z", "2026-08-22T10:00:01Z"), "2:72", /by at most 24 hours/],
		[override("{ device: d }", "2026-08-21T10:00:00Z", "2026-08-21T10:00:00Z"), "2:72", /later than created/],
		[override("{ device: d }", "today"), "2:41", /expected a time/],
	];
	/** What is told of an option that there is not. */
	const UNKNOWN: readonly (readonly [string, string])[] = [
		["rulse: []\n", '1:1: unknown option "rulse", expected rules?'],
		["polices: []\nunknwon: accept\n", '2:1: unknown option "unknwon", expected unknown?'],
		["classes:\n  - { name: a, match: {}, macth: { kind: pci } }\n", '2:27: unknown option "macth", expected match?'],
		["rules:\n  - { attribute: a, kind: equal, sevrity: off }\n", '2:34: unknown option "sevrity", expected severity?'],
		["overrides:\n  - { scope: { target: cmp-01 } }\n", '2:16: unknown option "target", expected target_host?'],
	];
	test.each(UNKNOWN)("%j: %s", (text, message) => {
		const path = file(text);
		expect(() => readPolicy(path)).toThrow(`${path}:${message}`);
	});
	test("of one that is like no other, nothing more", () => {
		const path = file("exepct: 1\n");
		expect(() => readPolicy(path)).toThrow(/:1:1: unknown option "exepct"$/);
	});

	const IMPOSSIBLE = ["2026-13", "2026-11-31", "2026-02-29", "0000-00-00"];
	test.each(IMPOSSIBLE)("the date %s is in no calendar", (date) => {
		const path = file(`rules:\n  - { attribute: a, kind: equal, date: ${date} }\n`);
		const expected = `${path}:2:40: rules.0.date: expected a date as 2026-08-21 or 2026-08, got "${date}"`;
		expect(() => readPolicy(path)).toThrow(expected);
	});
	test.each(["2026", "2026-08", "2028-02-29"])("the date %s is in the calendar", (date) => {
		const { rules } = readPolicy(file(`rules:\n  - { attribute: a, kind: equal, date: ${date} }\n`));
		expect(rules).toEqual([{ attribute: "a", kind: "equal", date }]);
	});

	test.each(MISTAKES)("%j at %s", (text, place, message) => {
		const path = file(text);
		expect(() => readPolicy(path)).toThrow(message);
		expect(() => readPolicy(path)).not.toThrow("\n");
		expect(() => readPolicy(path)).toThrow(`${path}:${place}: `);
		expect(() => lintPolicy(path, 0)).toThrow(`${path}:${place}: `);
	});
});

test("the sample policy is the built-in one, and so is an empty file", () => {
	expect(readPolicy("config/policy.yaml")).toEqual(DEFAULT_POLICY);
	expect(readPolicy(file(""))).toEqual(DEFAULT_POLICY);
});

test("one word for unknown is the word for everything", () => {
	expect(readPolicy(file("unknown: accept\n")).unknown).toEqual({ "*": "accept" });
	expect(readPolicy(file("unknown: reject\n"))).toEqual(DEFAULT_POLICY);
});

test("a pattern is a list of one", () => {
	const { classes } = readPolicy(file("classes: [{ name: a, match: { kind: pci, driver: x-* } }]\n"));
	expect(classes).toEqual([{ name: "a", match: { kind: ["pci"], driver: ["x-*"] }, rules: [] }]);
});

test("an override may be for a family of codes, and for 24 hours", () => {
	const day = override("{ code: version.* }", "2026-08-21T10:00:00Z", "2026-08-22T10:00:00Z");
	expect(readPolicy(file(day)).overrides).toMatchObject([{ scope: { code: "version.*" } }]);
});

describe("overrides come and go with time", () => {
	const path = () => file(override("{ device: d }"));
	const at = (time: string) => Date.parse(time);
	test.each([
		["2026-08-21T09:59:59Z", 0, "overrides errors of"],
		["2026-08-21T10:00:00Z", 1, "overrides errors of"],
		["2026-08-21T20:00:00Z", 0, "and is ignored"],
	])("at %s there are %i, and at load it is noted %s", (time, count, noted) => {
		const notes: string[] = [];
		const policy = loadPolicy(
			path(),
			(text) => notes.push(text),
			() => at(time),
		);
		expect(policy().overrides).toHaveLength(count);
		expect(notes).toEqual([expect.stringContaining(noted)]);
	});

	test("between two changes it is the same policy, for which the engine remembers what it has compared", () => {
		let now = at("2026-08-21T09:00:00Z");
		const policy = loadPolicy(
			path(),
			() => undefined,
			() => now,
		);
		const before = policy();
		expect(policy()).toBe(before);
		now = at("2026-08-21T11:00:00Z");
		const during = policy();
		expect(during).not.toBe(before);
		expect(policy()).toBe(during);
		now = at("2026-08-21T21:00:00Z");
		const after = policy();
		expect(after.overrides).toEqual([]);
		expect(policy()).toBe(after);
	});

	test("the note says whose, since when, and that it is ignored", () => {
		const notes: string[] = [];
		loadPolicy(path(), (text) => notes.push(text));
		expect(notes.length === 0 || notes[0]?.endsWith("has expired (2026-08-21T20:00:00Z) and is ignored")).toBe(true);
	});

	test("without a file the policy is the one that is built in", () => {
		expect(loadPolicy(undefined, () => undefined)()).toBe(DEFAULT_POLICY);
	});
});

describe("lint", () => {
	const NOW = Date.parse("2026-08-21T21:00:00Z");
	/** text, line and column, what is said */
	const FINDINGS: readonly (readonly [string, string, RegExp])[] = [
		[
			"classes: []\nrules:\n  - { attribute: a, kind: equal }\n  - { attribute: a, kind: version }\n",
			"4:5",
			/there is a rule for a before/,
		],
		["rules: [{ attribute: software_version, kind: equal }]\n", "1:9", /can never fire: software_version is judged/],
		...[
			"interface_version",
			"migration_version",
			"migration_compatible",
			"base_type",
			"aggregation_ratio",
			"compatible_x",
			"x_compatible",
			"migration/self",
		].map((name) => [`rules: [{ attribute: ${name}, kind: equal }]\n`, "1:9", /can never fire/] as const),
		[
			"classes:\n  - name: a\n    match: {}\n    rules:\n      - { attribute: a, kind: equal }\n      - { attribute: a, kind: info }\n",
			"6:9",
			/there is a rule for a before/,
		],
		[
			"classes: [{ name: a, match: { kind: pci }, rules: [{ attribute: mdev_type, kind: equal }] }]\n",
			"1:52",
			/only mdevs/,
		],
		[
			'classes:\n  - { name: a, match: { driver: "x*" } }\n  - { name: b, match: { driver: "xy*", kind: pci } }\n',
			"3:13",
			/the class is unreachable: "a" before it/,
		],
		["classes:\n  - { name: a, match: {} }\n  - { name: b, match: { driver: x } }\n", "3:13", /unreachable/],
		["unknown: { snapshot.stale: accept }\n", "1:28", /snapshot\.stale is read as reject: .*or accept_stale/],
		['unknown:\n  "snapshot.*": accept\n', "2:17", /snapshot\.\* is read as reject/],
		["classes: [{ name: a, match: {}, unknown: { snapshot.stale: accept } }]\n", "1:60", /is read as reject/],
		[override("{ device: d }"), "2:5", /the override of jane has expired \(2026-08-21T20:00:00Z\): remove it/],
	];
	test.each(FINDINGS)("%j at %s", (text, place, message) => {
		const path = file(`${text}...\n`);
		const findings = lintPolicy(path, NOW);
		expect(findings).toHaveLength(1);
		expect(findings[0]).toMatch(message);
		expect(findings[0]?.startsWith(`${path}:${place}: `)).toBe(true);
	});

	/** Ids that are names or in the decimal system: the class or rule is read, and is about no device. */
	const STRANGE_IDS: readonly (readonly [string, string, string])[] = [
		["classes: [{ name: a, match: { driver: nvidia, vendor: [10de, NVIDIA] } }]\n", "1:62", 'vendor "NVIDIA"'],
		["classes: [{ name: a, match: { device: mlx5* } }]\n", "1:39", 'device "mlx5*"'],
		["classes: [{ name: a, match: { parent_vendor: NVIDIA } }]\n", "1:46", 'parent_vendor "NVIDIA"'],
		["rules: [{ attribute: revision, kind: none_of, values: [a1, rev-a1] }]\n", "1:60", 'revision "rev-a1"'],
		[
			"classes: [{ name: a, match: {}, rules: [{ attribute: class, kind: one_of, values: [display] }] }]\n",
			"1:84",
			'class "display"',
		],
	];
	test.each(STRANGE_IDS)("%j at %s: no device has %s", (text, place, id) => {
		const path = file(`${text}...\n`);
		const expected = `${path}:${place}: no device has ${id}: expected hexadecimal digits, as 10de or 10d*`;
		expect(lintPolicy(path, NOW)).toEqual([expected]);
	});

	/** Nothing to say about these. */
	const GOOD = [
		"",
		"rules: [{ attribute: software_version, kind: ignore }, { attribute: never_heard_of, kind: equal }]\n",
		'classes:\n  - { name: a, match: { driver: "xy*" } }\n  - { name: b, match: { driver: "x*" } }\n',
		"classes:\n  - { name: a, match: { driver: x } }\n  - { name: b, match: { vendor: 8086 } }\n",
		"classes:\n  - { name: a, match: { driver: x } }\n  - { name: b, match: { driver: [x, y] } }\n",
		"classes: [{ name: a, match: { kind: mdev }, rules: [{ attribute: mdev_type, kind: equal }] }]\n",
		"classes: [{ name: a, match: { kind: mdev_type }, rules: [{ attribute: mdev_type, kind: equal }] }]\n",
		"classes: [{ name: a, match: { kind: [pci, mdev] }, rules: [{ attribute: mdev_type, kind: equal }] }]\n",
		"classes: [{ name: a, match: { x: y }, rules: [{ attribute: mdev_type, kind: equal }] }]\n",
		override("{ device: d }", "2026-08-21T10:00:00Z", "2026-08-22T01:00:00Z"),
		override("{ device: d }", "2026-08-21T10:00:00+02:00", "2026-08-22T01:00:00+02:00"),
		"classes: [{ name: a, match: { vendor: ['0x10DE', 10d*, '*'], driver: NVIDIA, parent_vendor: 0x10DE } }]\n",
		"rules: [{ attribute: class, kind: one_of, values: [0x0302, 030200] }, { attribute: x, kind: one_of, values: [y] }]\n",
		"unknown: accept\n",
		"unknown: { agent.tls: reject, attribute.unreadable: accept }\n",
		'unknown: { agent.timeout: accept_stale, "agent.*": accept_stale, "*": accept_stale }\n',
		"unknown: { snapshot.stale: accept_stale, agent.timeout: accept }\n",
	];
	test.each(GOOD)("%j", (text) => expect(lintPolicy(file(`${text}...\n`), NOW)).toEqual([]));

	test.each([
		["", 1],
		["rules: []\n", 2],
		["rules: []\n...", undefined],
		["rules: []\n...\n\n", undefined],
		["rules: []\n...\n# the end\n", 4],
		["rules: []\noverrides: []\n", 3],
	])("%j has no end that a reload can look for: line %j", (text, line) => {
		const path = file(text);
		const expected =
			line === undefined
				? []
				: [`${path}:${line}:1: no "..." at the end: a reload cannot tell when this file is half written`];
		expect(lintPolicy(path, NOW)).toEqual(expected);
	});

	test("the policy that is shipped", () => expect(lintPolicy("config/policy.yaml", NOW)).toEqual([]));
});
