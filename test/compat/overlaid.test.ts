import { describe, expect, test } from "vitest";
import { compare } from "../../src/compat/compare.ts";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { classify } from "../../src/compat/device-class.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { poolsOf } from "../../src/compat/pool.ts";
import { mdev, pci } from "../support/devices.ts";

const VENDOR = "vendor.yaml (release notes 7.1, 2026-08-01)";
const SITE = "site.yaml (measured, 2026-09-01)";

function reasons(source: Candidate, target: Candidate, policy: Policy = DEFAULT_POLICY) {
	const { device_class, policy: ofClass } = classify(source, policy);
	return compare({ source, target, source_host: "a", target_host: "b", device_class, policy: ofClass });
}

type Texts = Readonly<Record<string, string>>;

/** attributes of the source and which an overlay gave, the same of the target, how the message ends */
const NOTES: readonly (readonly [what: string, Texts, Texts, Texts, Texts, end: string])[] = [
	["neither side", { software_version: "1.3.0" }, {}, { software_version: "1.2.0" }, {}, "b t has 1.2.0"],
	[
		"the source",
		{ software_version: "1.3.0" },
		{ software_version: VENDOR },
		{ software_version: "1.2.0" },
		{},
		"b t has 1.2.0 (source by overlay vendor.yaml)",
	],
	[
		"the target",
		{ software_version: "1.3.0" },
		{},
		{ software_version: "1.2.0" },
		{ software_version: VENDOR },
		"b t has 1.2.0 (target by overlay vendor.yaml)",
	],
	[
		"both, the same file",
		{ software_version: "1.3.0" },
		{ software_version: VENDOR },
		{ software_version: "1.2.0" },
		{ software_version: VENDOR },
		"b t has 1.2.0 (both by overlay vendor.yaml)",
	],
	[
		"both, two files",
		{ software_version: "1.3.0" },
		{ software_version: SITE },
		{ software_version: "1.2.0" },
		{ software_version: VENDOR },
		"b t has 1.2.0 (source by overlay site.yaml, target by overlay vendor.yaml)",
	],
	[
		"the target's list",
		{ interface_version: "2.0.1" },
		{},
		{ interface_version: "2.1.3", interface_version_compatible: "2.1.0-" },
		{ interface_version_compatible: VENDOR },
		"(accepts 2.1.0-) (target by overlay vendor.yaml)",
	],
	[
		"a list that is not asked",
		{ interface_version: "2.0.1", interface_version_compatible: "2.0.0-" },
		{ interface_version_compatible: VENDOR },
		{ interface_version: "2.1.3", interface_version_compatible: "2.1.0-" },
		{},
		"(accepts 2.1.0-)",
	],
	[
		"a list that a device without the attribute would need",
		{},
		{},
		{ interface_version: "2.1.3", interface_version_compatible: "2.1.0-" },
		{ interface_version_compatible: VENDOR },
		"b t accepts 2.1.0- (target by overlay vendor.yaml)",
	],
	[
		"the blocks of the target, about a field",
		{ migration_compatible: "SELF:\n\taggregator=4" },
		{},
		{ migration_compatible: "SELF:\n\taggregator=1\nCOMPATIBLE:\n\taggregator=1" },
		{ migration_compatible: VENDOR },
		"does not fit 1 of b t (target by overlay vendor.yaml)",
	],
	[
		"the SELF of the source, about a version that the blocks do not list",
		{ migration_compatible: "SELF:\n\taggregator=1\n\tsoftware_version=1.3.0" },
		{ migration_compatible: SITE },
		{ migration_compatible: "SELF:\n\taggregator=1\n\tsoftware_version=1.2.0\nCOMPATIBLE:\n\taggregator=1" },
		{},
		"b t has 1.2.0 (source by overlay site.yaml)",
	],
	[
		"compatible_<x>",
		{ compatible_pci_ids: "591b,591d" },
		{},
		{ compatible_pci_ids: "591b" },
		{ compatible_pci_ids: VENDOR },
		"a s has 591b,591d (target by overlay vendor.yaml)",
	],
];
test.each(NOTES)("the reason says that an overlay gave %s", (_what, source, ofSource, target, ofTarget, end) => {
	const [first] = reasons(mdev("s", source, { overlaid: ofSource }), mdev("t", target, { overlaid: ofTarget }));
	expect(first?.message.slice(-end.length)).toBe(end);
	expect(first?.message.includes("overlay")).toBe(end.includes("overlay"));
});

/** class, used by the source, offered by the target under another name */
const OFFERED: readonly (readonly [what: string, Candidate, Candidate])[] = [
	[
		"superset",
		pci("s", { driver: "vhost_vdpa", negotiated_features: "MAC,MQ" }),
		pci("t", { driver: "vhost_vdpa", dev_features: "MAC" }, { overlaid: { dev_features: VENDOR } }),
	],
	[
		"in_range",
		pci("s", { driver: "vhost_vdpa", max_vqs: "9" }),
		pci("t", { driver: "vhost_vdpa", max_supported_vqs: "5" }, { overlaid: { max_supported_vqs: VENDOR } }),
	],
	[
		"one_of",
		pci("s", { vendor: "10de", vgpu_type: "1414" }),
		pci("t", { vendor: "10de", creatable_vgpu_types: "1428" }, { overlaid: { creatable_vgpu_types: VENDOR } }),
	],
	[
		"mask_superset",
		pci("s", { driver: "virtio_vfio_pci", device_features: "0x3" }),
		pci("t", { driver: "virtio_vfio_pci", device_features: "0x1" }, { overlaid: { device_features: VENDOR } }),
	],
];
test.each(OFFERED)("a rule of kind %s says so of what the target offers", (kind, source, target) => {
	const found = reasons(source, target).find(({ rule }) => rule === kind);
	expect(found).toMatchObject({
		target_overlay: VENDOR,
		message: expect.stringMatching(/ \(target by overlay vendor.yaml\)$/),
	});
	expect(found).not.toHaveProperty("source_overlay");
});

test("what the target lacks, the reason says of the source", () => {
	const source = pci("s", { vendor: "10de", vgpu_type: "1414" }, { overlaid: { vgpu_type: SITE } });
	const found = reasons(source, pci("t", { vendor: "10de" })).find(({ rule }) => rule === "one_of");
	expect(found).toMatchObject({ code: "attribute.missing_target", source_overlay: SITE });
});

test("a type that neither side's compatible_type names", () => {
	const found = reasons(
		mdev("s", { mdev_type: "vendor-a", compatible_type: "vendor-a" }, { overlaid: { compatible_type: SITE } }),
		mdev("t", { mdev_type: "vendor-b", compatible_type: "vendor-b" }, { overlaid: { compatible_type: VENDOR } }),
		{ ...DEFAULT_POLICY, compatible_type: "allow" },
	);
	expect(found.find(({ code }) => code === "type.mismatch")).toMatchObject({
		source_overlay: SITE,
		target_overlay: VENDOR,
	});
});

test("a mask that the target offers under another name", () => {
	const [found] = reasons(
		mdev("s", { software_version: "1.0.0", used: "0x3" }),
		mdev("t", { software_version: "1.0.0", offered: "0x1" }, { overlaid: { offered: VENDOR } }),
		{ ...DEFAULT_POLICY, rules: [{ attribute: "used", kind: "mask_superset", target: "offered" }] },
	);
	expect(found).toMatchObject({ code: "mask.not_superset", attribute: "used", target_overlay: VENDOR });
});

test.each(["target-accepts", "source-declares"] as const)("a file that is malformed, direction %s", (direction) => {
	const declares = { migration_compatible: "SELF:\na=1\nCOMPATIBLE:\na=1" };
	const broken = [{ "migration/self": "a" }, { overlaid: { "migration/self": SITE } }] as const;
	const isTarget = direction === "target-accepts";
	const [found] = reasons(
		isTarget ? mdev("s", ...broken) : mdev("s", declares),
		isTarget ? mdev("t", declares) : mdev("t", ...broken),
		{ ...DEFAULT_POLICY, direction },
	);
	expect(found).toMatchObject({ code: "rule.malformed", [isTarget ? "source_overlay" : "target_overlay"]: SITE });
});

describe("overlays in decisions", () => {
	const candidates = [
		mdev("t1", { software_version: "1.2.0" }),
		mdev("t2", { software_version: "1.2.0" }, { overlaid: { software_version: VENDOR } }),
		mdev("t3", { software_version: "1.2.0" }, { overlaid: { software_version: SITE } }),
		mdev("t4", { software_version: "1.2.0" }, { overlaid: { software_version: VENDOR } }),
	];

	test("devices with different marks are different classes", () => {
		expect(poolsOf(candidates).map((pool) => pool.candidates.map(({ id }) => id))).toEqual([
			["t1"],
			["t2", "t4"],
			["t3"],
		]);
	});

	test("a decision about other marks has another id, and its text fits Nova's columns", () => {
		const ask = (overlaid: Texts) =>
			decide({
				source_host: "a".repeat(60),
				target_host: "b".repeat(60),
				devices: [mdev("s", { software_version: "1.3.0" }, { overlaid })],
				candidates: candidates.slice(1, 2),
				policy: DEFAULT_POLICY,
			});
		const [unmarked, marked] = [ask({}), ask({ software_version: `${"x".repeat(120)}.yaml (s, 2026)` })];
		expect(marked.id).not.toBe(unmarked.id);
		for (const { text } of [unmarked, marked]) expect(text.length).toBeLessThanOrEqual(228);
	});
});

const B = (vendor: string) => JSON.stringify([{ device_api: "vfio-pci", vendor }]);
const C = (k: string) => JSON.stringify({ self: [{ k }], compatible: [{ k }] });

/** format, the overlaid attribute of the target, and what else the devices have */
const WITHIN: readonly (readonly [what: string, attribute: string, source: Texts, target: Texts])[] = [
	["a value of a descriptor", "migration_version", { migration_version: B("a") }, { migration_version: B("b") }],
	["a value of what is accepted", "migration_version", { migration_version: C("a") }, { migration_version: C("b") }],
	["the names of what must be set", "dynamic_resources", { agg: "1" }, { agg: "2", dynamic_resources: "agg" }],
];
test.each(WITHIN)("a reason about %s says that an overlay gave it", (_what, attribute, source, target) => {
	const [first] = reasons(mdev("s", source), mdev("t", target, { overlaid: { [attribute]: VENDOR } }));
	expect(first).toMatchObject({
		target_overlay: VENDOR,
		message: expect.stringMatching(/ \(target by overlay vendor.yaml\)$/),
	});
});
