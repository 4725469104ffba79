import { describe, expect, test } from "vitest";
import { MalformedBlocks, parseBlock, parseBlocks } from "../../src/compat/blocks.ts";
import { decide } from "../../src/compat/decide.ts";
import { baseType } from "../../src/compat/formats/base-type.ts";
import { FORMATS, type Format } from "../../src/compat/formats/index.ts";
import { jsonDescriptor } from "../../src/compat/formats/json-descriptor.ts";
import { migrationVersion } from "../../src/compat/formats/migration-version.ts";
import { softwareVersion } from "../../src/compat/formats/software-version.ts";
import { textBlocks } from "../../src/compat/formats/text-blocks.ts";
import { typeNode } from "../../src/compat/formats/type-node.ts";
import { versionRanges } from "../../src/compat/formats/version-ranges.ts";
import type { Pair } from "../../src/compat/pair.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { type ReasonCode, ranked, reason, type Severity } from "../../src/compat/reason.ts";
import { mdev } from "../support/devices.ts";

const pair = (source: Record<string, string>, target: Record<string, string>, rest: Partial<Pair> = {}): Pair => ({
	source: mdev("s", source),
	target: mdev("t", target),
	source_host: "source",
	target_host: "target",
	policy: DEFAULT_POLICY,
	...rest,
});

/** The attributes that a format judges, and nobody after it: more would hide a difference, fewer would tell it twice. */
describe("a format covers", () => {
	const COVERS: readonly (readonly [
		string,
		Format,
		covers: readonly string[],
		source: Record<string, string>,
		target: Record<string, string>,
	])[] = [
		["its text", migrationVersion, ["migration_version"], { migration_version: "a" }, {}],
		["no JSON as text", migrationVersion, [], { migration_version: "[{}]" }, { migration_version: "[{}]" }],
		["no text as JSON", jsonDescriptor, [], { migration_version: "a" }, { migration_version: "[{}]" }],
		[
			"what descriptors say of the device",
			jsonDescriptor,
			["migration_version", "device_api", "mdev_type"],
			{ migration_version: '[{"device_api":"vfio-pci"}]' },
			{ migration_version: '[{"device_api":"vfio-ccw"}]' },
		],
		[
			"every key of the self that is judged, by the names of attributes",
			jsonDescriptor,
			["migration_version", "pv_mode"],
			{ migration_version: '{"self":[{"pv-mode":"a"}],"compatible":[]}' },
			{ migration_version: '{"self":[{"gvt-version":"a"}],"compatible":[{"c":"1"}]}' },
		],
		[
			"every file, and every key that the target's blocks and the source's SELF name, where none fits",
			textBlocks,
			["migration_compatible", "d", "a"],
			{ migration_compatible: "SELF:\na=1\nCOMPATIBLE:\nc=1" },
			{ migration_compatible: "SELF:\nb=1\nCOMPATIBLE:\na={\nCOMPATIBLE:\nd=1" },
		],
		[
			"the keys of the block that fits",
			textBlocks,
			["migration_compatible", "a"],
			{ migration_compatible: "SELF:\na=1\nCOMPATIBLE:\nc=1" },
			{ migration_compatible: "SELF:\nb=1\nCOMPATIBLE:\na=2\nd=1\nCOMPATIBLE:\na=1" },
		],
		[
			"the version of either SELF beside the keys of the block that fits",
			textBlocks,
			["migration_compatible", "a", "software_version"],
			{ migration_compatible: "SELF:\na=1" },
			{ migration_compatible: "SELF:\nsoftware_version=1\nCOMPATIBLE:\na=1" },
		],
		[
			"files of its names only",
			textBlocks,
			["migration/self", "migration/compatible7/b", "b", "a"],
			{ "migration/self": "a=1", "migration/self/a/b": "1", "migration/selfie": "1", "x/migration/self": "1" },
			{ "migration/compatible7/b": "1", "migration/compatible/": "1", "migration/compatibles": "1" },
		],
		["a list and what it is about", versionRanges, ["a_compatible", "a"], { a: "1" }, { a: "2", a_compatible: "1" }],
		["a list that is not consulted alone", versionRanges, ["a_compatible"], { a_compatible: "1" }, { a: "2" }],
		[
			"the type where both files say the same",
			baseType,
			["base_type", "aggregation_ratio", "mdev_type"],
			{ base_type: "a", aggregation_ratio: "1" },
			{ base_type: "b", aggregation_ratio: "1" },
		],
		[
			"not the type where one file is on one side only",
			baseType,
			["base_type", "aggregation_ratio"],
			{ base_type: "a", aggregation_ratio: "1" },
			{ base_type: "a" },
		],
		["lists of the type node", typeNode, ["compatible_a", "compatible_type"], { compatible_a: "1" }, {}],
		["the type's list, to ignore it", typeNode, ["compatible_type"], { compatible_type: "a" }, {}],
		[
			"resources that either side names",
			typeNode,
			["compatible_type", "dynamic_resources", "a", "b"],
			{ dynamic_resources: "a" },
			{ dynamic_resources: "b,a" },
		],
		[
			"versions",
			softwareVersion,
			["software_version", "interface_version"],
			{ software_version: "1" },
			{ interface_version: "1" },
		],
	];
	test.each(COVERS)("%s", (_what, format, covers, source, target) => {
		expect(format(pair(source, target), new Set()).covers).toEqual(covers);
	});

	test("the type as well where the policy heeds its list", () => {
		const policy = { ...DEFAULT_POLICY, compatible_type: "allow" } as const;
		const { covers } = typeNode(pair({ compatible_type: "a" }, {}, { policy }));
		expect(covers).toEqual(["compatible_type", "mdev_type"]);
	});

	test.each(FORMATS.map((format) => [format.name, format] as const))(
		"nothing where there is nothing: %s",
		(_name, format) => {
			expect(format(pair({}, {}), new Set())).toEqual({ covers: [], reasons: [] });
		},
	);
});

test.each([
	["source", { mdev_type: "EIO" }, {}],
	["target", {}, { mdev_type: "EIO" }],
])("compatible_type is no word for a type of the %s that cannot be read", (_side, source, target) => {
	const policy = { ...DEFAULT_POLICY, compatible_type: "allow" } as const;
	const typed = (unreadable: Record<string, string>) => ({
		compatible_type: "a,b",
		...(!unreadable["mdev_type"] && { mdev_type: "b" }),
	});
	const both = pair(
		{},
		{},
		{
			policy,
			source: mdev("s", typed(source), { unreadable: source }),
			target: mdev("t", typed(target), { unreadable: target }),
		},
	);
	expect(typeNode(both).reasons).toMatchObject([{ code: "attribute.unreadable", attribute: "mdev_type" }]);
});

describe("devices without an mdev type", () => {
	const pci = (id: string, attributes: Record<string, string>) => ({ ...mdev(id, {}, { kind: "pci" }), attributes });
	test("compatible_type says nothing about them, but a list that fits nothing is told", () => {
		const allow = { ...DEFAULT_POLICY, compatible_type: "allow" } as const;
		const both = pair({}, {}, { policy: allow, source: pci("s", { compatible_type: "a" }), target: pci("t", {}) });
		expect(typeNode(both).reasons).toEqual([]);
		const one = pair(
			{},
			{},
			{ policy: allow, source: mdev("s", { mdev_type: "a" }), target: pci("t", { compatible_type: "b" }) },
		);
		expect(typeNode(one).reasons).toMatchObject([
			{
				code: "type.mismatch",
				message: 'mdev_type "" of target t is not among the types that source s is compatible with (none)',
			},
		]);
	});
});

test("a type on the source has no resources of an instance yet", () => {
	const source = mdev("s", { dynamic_resources: "aggregator" }, { kind: "mdev_type" });
	expect(typeNode(pair({}, { dynamic_resources: "aggregator", aggregator: "4" }, { source })).reasons).toEqual([]);
});

describe("hostile blocks", () => {
	const list = Array.from({ length: 64 }, (_value, index) => index).join(",");
	const fields = Array.from({ length: 40 }, (_value, index) => `f${index}={a}x{b}`).join("\n");
	const block = `COMPATIBLE:\na={a:int:${list}}\nb={b:int:${list}}\n${fields}\n`;

	test("more than 1024 files are malformed", () => {
		const files = (length: number) =>
			Object.fromEntries(Array.from({ length }, (_value, index) => [`migration/compatible${index}/a`, "1"]));
		const self = { "migration/self/a": "1" };
		expect(textBlocks(pair(self, files(1024))).reasons).toEqual([]);
		expect(textBlocks(pair(self, files(1025))).reasons).toMatchObject([
			{ code: "rule.malformed", message: "migration/compatible0/a of target t: more than 1024 files" },
		]);
	});

	test("more than 32 descriptors are malformed", () => {
		const descriptors = (length: number) => ({
			migration_version: JSON.stringify(Array.from({ length }, (_value, index) => ({ vendor: String(index) }))),
		});
		expect(jsonDescriptor(pair(descriptors(32), descriptors(32))).reasons).toEqual([]);
		expect(jsonDescriptor(pair(descriptors(32), descriptors(33))).reasons).toMatchObject([
			{ code: "rule.malformed", message: expect.stringMatching(/^migration_version of target t is no JSON/) },
		]);
	});

	test("what would cost too much is malformed, not slow", () => {
		const target = { migration_compatible: `SELF:\na=1\n${block.repeat(20)}` };
		const { reasons } = textBlocks(pair({ migration_compatible: "SELF:\na=x\nb=x\n" }, target));
		expect(reasons.at(-1)).toMatchObject({
			code: "rule.malformed",
			message: expect.stringContaining("too many combinations to try"),
		});
	});
});

describe("a fault of ours is thrown on, it is no answer about a device", () => {
	const broken = new Proxy(new Map<string, string>(), {
		get: () => {
			throw new TypeError("ours");
		},
	});
	test("in a block", () => expect(() => parseBlock(1, broken)).toThrow("ours"));
	test("in a declaration", () => {
		let asked = 0;
		const attributes = Object.defineProperty({}, "migration_compatible", {
			enumerable: true,
			get: () => {
				if (++asked === 1) throw new TypeError("ours");
				return "";
			},
		});
		expect(() => textBlocks(pair({}, {}, { source: { ...mdev("s", {}), attributes } }))).toThrow("ours");
	});
	test("a malformed file is no fault", () => expect(() => parseBlocks("x")).toThrow(MalformedBlocks));
});

describe("ranked", () => {
	test("what is unknown goes behind other errors, but not behind other warnings", () => {
		const about = (code: ReasonCode, attribute: string, severity: Severity) =>
			reason(code, "r", "m", { device: "d", attribute, severity });
		const sorted = [
			about("attribute.differs", "b", "error"),
			about("attribute.unreadable", "a", "error"),
			about("attribute.unreadable", "a", "warning"),
			about("attribute.differs", "b", "warning"),
		];
		expect(ranked(sorted.toReversed())).toEqual(sorted);
	});

	test("what is about no device goes before what is about one", () => {
		const [none, one] = [
			reason("attribute.differs", "r", "m"),
			reason("attribute.differs", "r", "m", { device: "0000:3b:00.2" }),
		];
		expect(ranked([none, one])).toEqual([none, one]);
		expect(ranked([one, none])).toEqual([none, one]);
	});

	test("reasons alike in all else stand by code, then by candidate, then by attribute", () => {
		const at = (code: "attribute.differs" | "attribute.not_covered", candidate: string, attribute?: string) =>
			reason(code, "r", "m", { device: "d", candidate, ...(attribute && { attribute }) });
		const sorted = [
			at("attribute.differs", "a", "vendor"),
			at("attribute.differs", "a"),
			at("attribute.differs", "a", "A"),
			at("attribute.differs", "a", "x"),
			at("attribute.differs", "b", "x"),
			at("attribute.not_covered", "a", "x"),
		];
		expect(ranked([...sorted].reverse())).toEqual(sorted);
		expect(ranked(sorted)).toEqual(sorted);
		expect(ranked([at("attribute.differs", "b"), at("attribute.differs", "a")])).toEqual([
			at("attribute.differs", "a"),
			at("attribute.differs", "b"),
		]);
	});
});

/** Attributes of a format by which nothing is asked of either side do not speak for a device that cannot migrate. */
describe("no declaration is", () => {
	const IDLE: readonly (readonly [what: string, source: Record<string, string>, target: Record<string, string>])[] = [
		["a list that only the source has", { interface_version_compatible: "1.0.0-" }, {}],
		["compatible_type, which the policy ignores", { compatible_type: "a,b" }, { compatible_type: "a,b" }],
		["compatible_<x> that only the target has", {}, { compatible_pci_ids: "591b" }],
		["dynamic_resources that name nothing", { dynamic_resources: "" }, { dynamic_resources: "" }],
	];
	test.each(IDLE)("%s", (_what, source, target) => {
		/** type, verdict, reason */
		const TYPES = [
			["i915-GVTg_V5_4", "reject", "class.refused"],
			["vendor-type", "unknown", "declaration.none"],
		] as const;
		for (const [mdev_type, verdict, code] of TYPES) {
			const devices = [mdev("s", { mdev_type, ...source })];
			const candidates = [mdev("t", { mdev_type, ...target })];
			const question = { source_host: "a", target_host: "b", devices, candidates, policy: DEFAULT_POLICY };
			const decision = decide(question);
			expect([decision.verdict, decision.reasons[0]?.code]).toEqual([verdict, code]);
		}
	});
});
