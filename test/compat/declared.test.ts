import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

type Texts = Readonly<Record<string, string>>;

function decided(source: Texts, target: Texts, policy: Partial<Policy> = {}) {
	const { verdict, reasons } = decide({
		source_host: "source",
		target_host: "target",
		devices: [mdev("s", source)],
		candidates: [mdev("t", target)],
		policy: { ...DEFAULT_POLICY, ...policy },
	});
	return [verdict, ...reasons.map(({ code }) => code)];
}

const json = (value: unknown) => JSON.stringify(value);

/** Specification, "Who judges which attribute": what the declaring side's own declaration does not cover, the policy judges. */
describe("the policy judges an attribute that", () => {
	const SELF = "SELF:\naggregator=1\n";
	const ACCEPTS = "COMPATIBLE:\naggregator=1\n";

	test("only SELF of the target names", () => {
		const target = { mdev_type: "b", migration_compatible: `${SELF}mdev_type=b\n${ACCEPTS}` };
		expect(decided({ mdev_type: "a", migration_compatible: SELF }, target)).toEqual(["reject", "type.mismatch"]);
	});

	test("only a block of the side that is not asked names", () => {
		const source = { mdev_type: "a", migration_compatible: `${SELF}${ACCEPTS}mdev_type=a\n` };
		const target = { mdev_type: "b", migration_compatible: `${SELF}${ACCEPTS}` };
		expect(decided(source, target)).toEqual(["reject", "type.mismatch"]);
		expect(decided(target, source, { direction: "source-declares" })).toEqual(["reject", "type.mismatch"]);
	});

	test("another block names than the one that fits", () => {
		const target = { mdev_type: "b", migration_compatible: `${ACCEPTS}${ACCEPTS}mdev_type=b\n` };
		expect(decided({ mdev_type: "a", migration_compatible: SELF }, target)).toEqual(["reject", "type.mismatch"]);
	});

	test("the block that fits names: it is not asked", () => {
		const source = { mdev_type: "a", migration_compatible: `${SELF}mdev_type=a\n` };
		const target = { mdev_type: "b", migration_compatible: `${ACCEPTS}mdev_type=a\n` };
		expect(decided(source, target)).toEqual(["accept", "type.cross_type"]);
	});

	test("only self of the target names (format C)", () => {
		const source = { mdev_type: "a", migration_version: json({ self: [{ agg: "1" }], compatible: [] }) };
		const target = {
			mdev_type: "b",
			migration_version: json({ self: [{ agg: "1", "mdev-type": "b" }], compatible: [{ agg: "1" }] }),
		};
		expect(decided(source, target)).toEqual(["reject", "type.mismatch"]);
		expect(decided(target, source, { direction: "source-declares" })).toEqual(["reject", "type.mismatch"]);
	});

	test("descriptors do not name (format B)", () => {
		const migration_version = json([{ vendor: "x", version: { major: 1, minor: 0 } }]);
		const [source, target] = ["vfio-pci", "vfio-ccw"].map((device_api) => ({ device_api, migration_version }));
		expect(decided({ ...source }, { ...target })).toEqual(["reject", "device_api.mismatch"]);
	});
});

/** Format G itself compares device_api, type and software_version, whatever is listed. */
describe("a list compatible_<x> of the target (format G) that has the source's <x> judges <x>", () => {
	const DIFFERENT: readonly (readonly [what: string, source: Texts, target: Texts])[] = [
		["an id", { device: "0x591B", compatible_device: "591b" }, { device: "5931", compatible_device: "5931, 591b" }],
		["an id with 0x", { device: "591b", compatible_device: "0x591B" }, { device: "5931", compatible_device: "0x591B" }],
		["a text in any case", { mode: "A\n", compatible_mode: "a" }, { mode: "b", compatible_mode: "a,b" }],
		["a text", { mode: "a", compatible_mode: "a" }, { mode: "b", compatible_mode: "a,b" }],
	];
	const REFUSED: typeof DIFFERENT = [
		["the target's list alone", { device: "591b" }, { device: "5931", compatible_device: "5931,591b" }],
		[
			"it has another one",
			{ device: "5912", compatible_device: "591b" },
			{ device: "5931", compatible_device: "591b" },
		],
		["the source has none", { compatible_device: "591b" }, { device: "5931", compatible_device: "591b" }],
		["it has not all", { device: "a", compatible_device: "a,b" }, { device: "c", compatible_device: "a" }],
		[
			"device_api",
			{ device_api: "vfio-ccw", compatible_device_api: "vfio-ccw" },
			{ compatible_device_api: "vfio-ccw" },
		],
		["the type", { mdev_type: "a", compatible_mdev_type: "a" }, { mdev_type: "b", compatible_mdev_type: "a" }],
		[
			"software_version",
			{ software_version: "2.0.0", compatible_software_version: "2.0.0" },
			{ software_version: "1.0.0", compatible_software_version: "2.0.0" },
		],
	];
	test.each(DIFFERENT)("%s", (_what, source, target) => {
		expect(decided(source, target, { other_attributes: "equal" })).toEqual(["accept"]);
	});
	test.each(REFUSED)("but not where %s", (_what, source, target) => {
		expect(decided(source, target)[0]).toBe("reject");
	});
});

describe("half a declaration is none", () => {
	test.each([{ base_type: "x" }, { aggregation_ratio: "2" }])("%o (format F4)", (half) => {
		expect(decided(half, half)).toEqual(["unknown", "declaration.none"]);
	});
});

describe("an empty text among those that a variable stands for (format D)", () => {
	const target = { migration_compatible: 'COMPATIBLE:\npv_mode={mode:string:"","none"}\n' };

	test.each(['pv_mode=""', "pv_mode=", ""])("fits what is empty or absent: %o", (field) => {
		expect(decided({ migration_compatible: `SELF:\n${field}\n` }, target)).toEqual(["accept"]);
	});

	test("leaves the others as they are", () => {
		expect(decided({ migration_compatible: "SELF:\npv_mode=none\n" }, target)).toEqual(["accept"]);
	});

	test("is none where nothing stands between two commas of a file (format F2)", () => {
		const accepts = { "migration/compatible/mode": "none,", "migration/compatible/agg": "1" };
		expect(decided({ "migration/self/agg": "1" }, accepts)).toEqual(["reject", "rule.malformed"]);
	});

	test.each([
		["in quotes, is one text", "none", '"none, ppgtt"', "reject"],
		["in quotes, fits that text", "none, ppgtt", '"none, ppgtt"', "accept"],
		["beside another one, too", "none, ppgtt", '"none, ppgtt", context', "accept"],
		["that the device itself has in quotes, is that text", '"none, ppgtt"', '"none, ppgtt"', "accept"],
	])("a comma of a file (format F2) %s", (_what, self, accepted, verdict) => {
		const accepts = { "migration/compatible/mode": accepted };
		expect(decided({ "migration/self/mode": self }, accepts)[0]).toBe(verdict);
	});

	test("stands for nothing else", () => {
		const source = { migration_compatible: "SELF:\npv_mode=ppgtt\n" };
		expect(decided(source, target)).toEqual(["reject", "attribute.differs"]);
	});
});

/** Object equality over the union of keys, of the texts as they are and not as a message shows them. */
describe("values in JSON (formats B and C)", () => {
	const long = "x".repeat(150);

	test.each([
		["differ after more characters than a message has room for", { k: `${long}1` }, { k: `${long}2` }],
		["differ from what is absent, whatever they are", { k: "(absent)" }, {}],
		["differ from what is absent, null too", { k: null }, {}],
	])("%s", (_what, self, accepted) => {
		const source = { migration_version: json({ self: [self], compatible: [] }) };
		const target = { migration_version: json({ self: [{}], compatible: [accepted] }) };
		expect(decided(source, target)).toEqual(["reject", "attribute.differs"]);
	});

	test.each([
		["0x10", "10"],
		["0x10", "16"],
		["None", "none"],
	])("are no ids: %s is not %s", (ours, theirs) => {
		const source = { migration_version: json({ self: [{ k: ours }], compatible: [] }) };
		const target = { migration_version: json({ self: [{}], compatible: [{ k: theirs }] }) };
		expect(decided(source, target)).toEqual(["reject", "attribute.differs"]);
	});

	test("are the same number as text with 0x", () => {
		const fields = (k: unknown) => ({ migration_version: json([{ vendor: "a", vendor_fields: { k } }]) });
		expect(decided(fields("0x10"), fields(16))).toEqual(["accept"]);
		expect(decided(fields("10"), fields(16))).toEqual(["reject", "attribute.differs"]);
	});

	test("are the same objects in whatever order their names stand", () => {
		const fields = (k: object) => ({ migration_version: json([{ vendor: "a", vendor_fields: { k } }]) });
		expect(decided(fields({ a: 1, b: [{ c: 2, d: 3 }] }), fields({ b: [{ d: 3, c: 2 }], a: 1 }))).toEqual(["accept"]);
	});
});

/** 2.4: ids are hexadecimal texts or integers. */
describe("ids in descriptors (format B)", () => {
	const device = (vendor: unknown) => ({
		migration_version: json([{ device_api: "vfio-pci", "vfio-pci": { vendor } }]),
	});

	test("are the same as text and as number", () => {
		expect(decided(device("0x8086"), device(0x8086))).toEqual(["accept"]);
	});

	test("are not the same for having the same digits", () => {
		expect(decided(device("0x8086"), device(8086))).toEqual(["reject", "attribute.differs"]);
	});

	test("are hexadecimal as a text, without 0x too", () => {
		expect(decided(device("8086"), device(8086))).toEqual(["reject", "attribute.differs"]);
		expect(decided(device("8086"), device(0x8086))).toEqual(["accept"]);
		expect(decided(device("0x00A2"), device("a2"))).toEqual(["accept"]);
		expect(decided(device("00zz"), device("zz"))).toEqual(["reject", "attribute.differs"]);
	});
});

/** 2.4: the version is that of 2.6, and every field is compared. */
describe("a descriptor (format B) is not accepted", () => {
	const descriptor = (fields: object) => ({
		migration_version: json([{ device_api: "vfio-pci", vendor: "a", ...fields }]),
	});
	test.each([
		["of whose version one side says nothing", {}, { version: { major: 0, minor: 1 } }, "attribute.missing_source"],
		["whose version the target does not say", { version: { major: 0, minor: 0 } }, {}, "attribute.missing_target"],
		["whose version is another text", { version: "2.0" }, { version: "1.0" }, "version.unparseable"],
		["whose version is another number", { version: 2 }, { version: 1 }, "version.unparseable"],
		[
			"whose version is no number",
			{ version: { major: 1, minor: "" } },
			{ version: { major: 1, minor: 0 } },
			"version.unparseable",
		],
		["with another list of texts", { vendor_fields: ["gen9"] }, { vendor_fields: ["gen8"] }, "attribute.differs"],
		["with another text in a section", { "vfio-pci": "8086:591d" }, { "vfio-pci": "8086:5931" }, "attribute.differs"],
		[
			"with another first of two values",
			{ vendor_fields: [{ k: "1" }, { k: "2" }] },
			{ vendor_fields: [{ k: "3" }, { k: "2" }] },
			"attribute.differs",
		],
	])("%s", (_what, source, target, code) => {
		expect(decided(descriptor(source), descriptor(target))).toEqual(["reject", code]);
	});

	test.each([
		["another value in a field of the vendor's own", { slices: 4 }, { slices: 2 }],
		["a field of the vendor's own that one side lacks", { slices: { size: 4 } }, {}],
		["another value in a section of another name", { "vfio-mdev": { type: "a" } }, { "vfio-mdev": { type: "b" } }],
	])("with %s", (_what, source, target) => {
		for (const [one, other] of [
			[source, target],
			[target, source],
		] as const)
			expect(decided(descriptor(one), descriptor(other))).toEqual(["reject", "attribute.differs"]);
	});

	test("whose provisioning is told otherwise: it is a condition", () => {
		expect(decided(descriptor({ mdev_attrs: ["a=2"] }), descriptor({ mdev_attrs: ["a=1"] }))).toEqual([
			"conditional",
			"dynamic.set",
		]);
	});

	test("if it is not the same, in whatever form", () => {
		for (const fields of [{}, { version: "2.0" }, { version: 2 }, { vendor_fields: ["gen9"], mdev_attrs: "a=2" }])
			expect(decided(descriptor(fields), descriptor(fields))).toEqual(["accept"]);
	});
});

/** Format F4 names no mdev type, so that the policy alone says whether it may be another one. */
describe("another mdev type that a declaration accepts, where the policy never does", () => {
	const never = { ...DEFAULT_POLICY, cross_type: "never" } as const;
	const ratio = { base_type: "a", aggregation_ratio: "2" };
	const typed = (mdev_type?: string) => ({ device_api: "vfio-pci", ...(mdev_type && { mdev_type }), ...ratio });
	const codes = (source: Partial<Candidate>, target: Partial<Candidate>) => {
		const [device, candidate] = [mdev("s", {}, source), mdev("t", {}, target)];
		const hosts = { source_host: "source", target_host: "target" };
		const { verdict, reasons } = decide({ ...hosts, devices: [device], candidates: [candidate], policy: never });
		return [verdict, ...reasons.map(({ code }) => code)];
	};

	test("is refused", () => {
		expect(codes({ attributes: typed("x") }, { attributes: typed("y") })).toEqual(["reject", "type.cross_type"]);
	});

	test("may be one that cannot be read, or is not there", () => {
		const hidden = { attributes: typed(), unreadable: { mdev_type: "EIO" } };
		expect(codes({ attributes: typed("x") }, hidden)).toEqual(["unknown", "attribute.unreadable"]);
		expect(codes(hidden, { attributes: typed("x") })).toEqual(["unknown", "attribute.unreadable"]);
		expect(codes({ attributes: typed("x") }, { attributes: typed() })).toEqual(["reject", "attribute.missing_target"]);
	});

	test("is none where neither side has a type", () => {
		expect(codes({ attributes: typed() }, { attributes: typed() })).toEqual(["accept"]);
	});
});

/** 2.1: `vfio_pci` is `vfio-pci`, an id is the same in any case and with or without `0x`. */
describe("a list of what is no version (format E) has an item", () => {
	test.each([
		["spelled otherwise", { device: "591d" }, { device: "5912", device_compatible: "0x5931, 0x591D" }],
		["with an underscore", { device_api: "vfio-pci" }, { device_api: "vfio-ccw", device_api_compatible: "vfio_pci" }],
		["that is the target's own, spelled otherwise", { device: "0x591d" }, { device: "591D", device_compatible: "" }],
	])("%s", (_what, source, target) => {
		const version = { software_version: "1.0.0" };
		expect(decided({ ...version, ...source }, { ...version, ...target })).toEqual(["accept"]);
	});
});

/** 2.1, as above. */
describe("spelled otherwise is the same", () => {
	const descriptor = (device_api: string) => ({
		migration_version: json([{ device_api, vendor: "i915", version: { major: 1, minor: 0 } }]),
	});
	const listing = (device_api: string) => ({
		migration_version: json({ self: [{ device_api }], compatible: [{ device_api }] }),
	});
	test.each([
		["device_api of a descriptor (format B)", descriptor("vfio_pci"), descriptor("vfio-pci")],
		["device_api of an object (format C)", listing("vfio_pci"), listing("vfio-pci")],
		["an id of a list (format G)", { compatible_device: "591d" }, { compatible_device: "0x591D,0x5931" }],
		["a list of ids (format G)", { compatible_pci_ids: "591d" }, { compatible_pci_ids: "0x591D,0x5931" }],
		["a list of device_api (format G)", { compatible_device_api: "vfio-pci" }, { compatible_device_api: "vfio_pci" }],
	])("%s", (_what, source, target) => {
		expect(decided(source, target)).toEqual(["accept"]);
	});

	test("other texts are not", () => {
		expect(decided({ compatible_mode: "10" }, { compatible_mode: "0x10" })[0]).toBe("reject");
		expect(decided({ compatible_mode: "a_b" }, { compatible_mode: "a-b" })[0]).toBe("reject");
		expect(decided(descriptor("vfio-ccw"), descriptor("vfio-pci"))[0]).toBe("reject");
	});
});

/** D16 and 2.5: blocks are alternatives, and only one that does not list software_version leaves it to format H. */
describe("of several blocks that fit", () => {
	const source = { migration_compatible: "SELF:\na=1\nsoftware_version=2.0.0\n" };
	const target = (...blocks: string[]) => ({
		migration_compatible: ["SELF:\na=1\nsoftware_version=3.0.0\n", ...blocks].join("COMPATIBLE:\n"),
	});
	const [ANY, LISTED] = ["a=1\n", 'a=1\nsoftware_version={v:string:"2.0.0","3.0.0"}\n'];

	test("the one that lists the version decides, wherever it stands", () => {
		expect(decided(source, target(LISTED, ANY))).toEqual(["accept"]);
		expect(decided(source, target(ANY, LISTED))).toEqual(["accept"]);
	});

	test("none lists it: another major version is refused", () => {
		expect(decided(source, target(ANY, ANY))).toEqual(["reject", "version.major_mismatch"]);
	});
});

/** Specification, "Who judges which attribute": without any declaration a device is unknown, never silently accepted. */
describe("what is there and says nothing is no declaration", () => {
	const blocks = (text: string) => ({ migration_compatible: text });
	const allowed = { compatible_type: "allow" } as const;
	const EMPTY: readonly (readonly [both: Texts, policy?: Partial<Policy>])[] = [
		[{ migration_version: "" }],
		[{ software_version: " " }],
		[{ software_version: "", interface_version: "" }],
		[{ interface_version: "", interface_version_compatible: "" }],
		[{ pv_mode: "", pv_mode_compatible: "" }, { direction: "both" }],
		[{ base_type: "", aggregation_ratio: "" }],
		[{ base_type: "", aggregation_ratio: "2" }],
		[{ compatible_pci_ids: " , " }],
		[{ compatible_type: "" }, allowed],
		[{ "migration/self": "", "migration/compatible": "" }],
		[{ migration_version: json({ self: [{}], compatible: [{}] }) }, { direction: "both" }],
		[blocks("SELF:\nCOMPATIBLE:\n"), { direction: "both" }],
		[blocks('SELF:\npv_mode=""\nCOMPATIBLE:\n')],
	];
	for (const [both, policy] of EMPTY) {
		test(json(both), () => {
			expect(decided(both, both, policy)).toEqual(["unknown", "declaration.none"]);
		});
	}

	test("nor does it speak for another type (format F4)", () => {
		const empty = { base_type: "", aggregation_ratio: "" };
		const found = decided({ ...empty, mdev_type: "a" }, { ...empty, mdev_type: "b" });
		expect(found).toEqual(["reject", "type.mismatch", "declaration.none"]);
	});

	test.each(["[{}]", '[{"comment":"1"}]', '[{"mdev_attrs":[{"a":"1"}]}]'])("%s is no descriptor", (text) => {
		const both = { migration_version: text };
		expect(decided(both, both)).toEqual(["reject", "rule.malformed"]);
	});

	test("beside a declaration it does not matter", () => {
		const both = { software_version: "1.0.0", migration_version: "", compatible_pci_ids: "", "migration/self": "" };
		expect(decided({ ...both, ...blocks("SELF:\n") }, { ...both, ...blocks("COMPATIBLE:\n") })).toEqual(["accept"]);
	});
});

/** 2.2: `both` asks each side for its own declaration, and is no word for either. */
describe("where both sides are asked, what one of them does not declare is judged as without a declaration", () => {
	const blocks = (self: string, accepts: string) => ({
		migration_compatible: `SELF:\n${self}\nCOMPATIBLE:\n${accepts}\n`,
	});
	const listed = (self: object, accepts: object) => ({
		migration_version: json({ self: [self], compatible: [accepts] }),
	});
	const version = { software_version: "1.0.0" };
	const [plain, typed] = [{ agg: "1" }, { agg: "1", mdev_type: "b" }];
	const BY_ONE: readonly (readonly [what: string, source: Texts, target: Texts])[] = [
		[
			"a version by the source's list (format E)",
			{ interface_version: "2.7.0", interface_version_compatible: "2.1.0-" },
			{ interface_version: "2.1.3" },
		],
		[
			"a version by the target's list (format E)",
			{ interface_version: "2.7.0" },
			{ interface_version: "2.1.3", interface_version_compatible: "2.1.0-" },
		],
		[
			"a type by the source's list",
			{ ...version, mdev_type: "a", mdev_type_compatible: "b" },
			{ ...version, mdev_type: "b" },
		],
		[
			"a type by the target's list",
			{ ...version, mdev_type: "a" },
			{ ...version, mdev_type: "b", mdev_type_compatible: "a" },
		],
		[
			"a type by the source's block (format D)",
			{ mdev_type: "a", ...blocks("agg=1", "agg=1\nmdev_type=b") },
			{ mdev_type: "b", ...blocks("agg=1\nmdev_type=b", "agg=1") },
		],
		[
			"a type by the source's list of objects (format C)",
			{ mdev_type: "a", ...listed(plain, typed) },
			{ mdev_type: "b", ...listed(typed, plain) },
		],
	];
	test("what one of them refuses is told by nobody else", () => {
		const source = { mdev_type: "a", ...blocks("agg=1\nmdev_type=a", "agg=1") };
		const target = { mdev_type: "b", ...blocks("agg=1", "agg=1\nmdev_type=c") };
		expect(decided(source, target, { direction: "both" })).toEqual(["reject", "attribute.differs", "type.cross_type"]);
	});

	test.each(BY_ONE)("%s", (_what, source, target) => {
		expect(decided(source, target, { direction: "both" })[0]).toBe("reject");
	});
});
