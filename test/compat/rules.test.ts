import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Pair } from "../../src/compat/pair.ts";
import { DEFAULT_POLICY, type Rule, type RuleKind } from "../../src/compat/policy.ts";
import { applyRule, attributesOf, RULES } from "../../src/compat/rules/index.ts";
import { pci } from "../support/devices.ts";

type Texts = Readonly<Record<string, string>>;

function apply(rule: Partial<Rule> & Pick<Rule, "kind">, source: Texts, target: Texts, unreadable: Texts = {}) {
	const pair: Pair = {
		source: pci("s", source),
		target: pci("t", target, { unreadable }),
		source_host: "a",
		target_host: "b",
		policy: DEFAULT_POLICY,
	};
	return applyRule(pair, { attribute: "x", ...rule });
}
const codes = (...args: Parameters<typeof apply>) => apply(...args).map(({ code }) => code);

/** rule, pairs of values that pass, pairs that do not with the code */
type Row = readonly [
	rule: Partial<Rule> & Pick<Rule, "kind">,
	include: readonly (readonly [source: Texts | string, target: Texts | string])[],
	exclude: readonly (readonly [source: Texts | string, target: Texts | string, code: string])[],
];

const TABLE: readonly Row[] = [
	[
		{ kind: "equal" },
		[
			["a", "a"],
			["", ""],
			[{}, {}],
		],
		[
			["a", "A", "attribute.differs"],
			["a", {}, "attribute.missing_target"],
			[{}, "a", "attribute.missing_source"],
		],
	],
	[
		{ kind: "equal", attribute: "device_api" },
		[[{ device_api: "vfio_pci" }, { device_api: "vfio-pci" }]],
		[[{ device_api: "vfio-pci" }, { device_api: "vfio-ccw" }, "device_api.mismatch"]],
	],
	[{ kind: "equal", attribute: "vendor" }, [[{ vendor: "0x8086" }, { vendor: "8086" }]], []],
	[{ kind: "equal", attribute: "mdev_type" }, [], [[{ mdev_type: "a" }, { mdev_type: "b" }, "type.mismatch"]]],
	[
		{ kind: "equal", attribute: "constructor" },
		[[{}, {}]],
		[[{ constructor: "a" }, { constructor: "b" }, "attribute.differs"]],
	],
	[
		{ kind: "version" },
		[
			["1.2.3", "1.2.3"],
			["1.2.3", "1.10"],
			["1.2", "1.2.9"],
			["1.2.3", "1.2.03"],
			["1.2.3\n", " 1.2.3"],
			["x", "x"],
			[{}, {}],
		],
		[
			["1.2.3", "2.2.3", "version.major_mismatch"],
			["1.2.3", "1.1.9", "version.minor_downgrade"],
			["1.2.3", "1.2.2", "version.bugfix_downgrade"],
			["x", "1.0", "version.unparseable"],
			["1.0", "x", "version.unparseable"],
			["1.0", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "version", compare: "major" },
		[["550.90.05", "550.90.5"]],
		[
			["550.90.05", "560.1.1", "version.major_mismatch"],
			["550.90.05", "550.54.10", "attribute.differs"],
			["550.54.10", "550.90.05", "attribute.differs"],
		],
	],
	[
		{ kind: "one_of" },
		[
			["a", "a"],
			["A2+B2", "A2;B2;A2+B2;"],
			[" b ", "a, b\nc"],
			[{}, "a"],
			[{}, {}],
		],
		[
			["a", "b,c", "attribute.not_in_list"],
			["a", "", "attribute.not_in_list"],
			["a", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "one_of", lists: ["now", "could"] },
		[
			["5", { now: "5", could: "6" }],
			["6", { could: "5,6" }],
		],
		[
			["6", { now: "5", could: "6" }, "attribute.not_in_list"],
			["6", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "one_of", values: ["enable", "on"] },
		[
			["enable", "on"],
			["enable\n", " on"],
			[{}, {}],
		],
		[
			["enable", "off", "attribute.not_in_list"],
			["off", "enable", "attribute.not_in_list"],
			["enable", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "superset" },
		[
			["a", "b a"],
			["", "a"],
			["", {}],
			["a+b", "b;a,c"],
			[{}, {}],
		],
		[
			["a b", "a", "set.not_superset"],
			["a", {}, "attribute.missing_target"],
			[{}, "a", "attribute.only_on_target"],
		],
	],
	[
		{ kind: "superset", compare: "exact" },
		[["a b", "b;a"]],
		[
			["a", "a b", "set.not_superset"],
			["a b", "a", "set.not_superset"],
		],
	],
	[
		{ kind: "superset", target: "y" },
		[
			["a", { y: "a b" }],
			[{}, { y: "a" }],
			[{}, { x: "a", y: "a" }],
		],
		[
			["a", { y: "b" }, "set.not_superset"],
			["a", { x: "a" }, "attribute.missing_target"],
		],
	],
	[
		{ kind: "mask_superset" },
		[
			["0x0f", "0x1F"],
			["15", "0xf"],
			["0", "0"],
			["0x0f\n", " 15"],
			[`0x${"f".repeat(64)}`, `0x${"f".repeat(65)}`],
			[{}, {}],
		],
		[
			["0x10", "0x0f", "mask.not_superset"],
			["f", "0xf", "attribute.malformed"],
			["0xf", "-1", "attribute.malformed"],
			["1", {}, "attribute.missing_target"],
			[{}, "1", "attribute.missing_source"],
		],
	],
	[
		{ kind: "mask_superset", target: "y" },
		[
			["1", { y: "3" }],
			[{}, { y: "3" }],
		],
		[["4", { y: "3" }, "mask.not_superset"]],
	],
	[
		{ kind: "mask_equal" },
		[
			["0x0f", "15"],
			[{}, {}],
		],
		[
			["0x0f", "0x1f", "attribute.differs"],
			["", "1", "attribute.malformed"],
			["1", "1.0", "attribute.malformed"],
			["1", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "in_range", range: "r" },
		[
			["16", { r: "16-21" }],
			["21", { r: " 16 - 21 " }],
			[" 16\n", { r: "16-16" }],
			["-3", { r: "-5--1" }],
			[{}, { r: "1-2" }],
		],
		[
			["15", { r: "16-21" }, "attribute.out_of_range"],
			["22", { r: "16-21" }, "attribute.out_of_range"],
			["18", { r: "21-16" }, "attribute.malformed"],
			["18", { r: "[16,21]" }, "attribute.malformed"],
			["18", { r: "v16-21" }, "attribute.malformed"],
			["18", { r: "16-21.5" }, "attribute.malformed"],
			["0x12", { r: "16-21" }, "attribute.malformed"],
			["18", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "in_range", min: "lo", max: "hi" },
		[
			["5", { lo: "5", hi: "5" }],
			["99999999999999999999", { lo: "0", hi: "99999999999999999999" }],
		],
		[
			["4", { lo: "5", hi: "9" }, "attribute.out_of_range"],
			["10", { lo: "5", hi: "9" }, "attribute.out_of_range"],
			["5", { lo: "5" }, "attribute.missing_target"],
			["5", { lo: "five", hi: "9" }, "attribute.malformed"],
		],
	],
	[
		{ kind: "one_of", settable: "y" },
		[
			["1", "1"],
			["1", { x: "1", y: "2" }],
			[{}, { y: "2" }],
		],
		[
			["1", { y: "2,1" }, "dynamic.set"],
			["1", { y: "2" }, "attribute.not_in_list"],
			["1", { x: "2", y: "1" }, "attribute.not_in_list"],
			["1", {}, "attribute.missing_target"],
		],
	],
	[
		{ kind: "none_of", values: ["off", "down"] },
		[
			["up", {}],
			[{}, "up"],
			[{}, {}],
			["offline", "up"],
		],
		[
			["off", "up", "attribute.refused"],
			[" down ", {}, "attribute.refused"],
			[{}, "off", "attribute.refused"],
		],
	],
	[{ kind: "in_range", max: "hi" }, [["5", { hi: "5" }]], [["6", { hi: "5" }, "attribute.out_of_range"]]],
	[
		{ kind: "ignore" },
		[
			["a", "b"],
			["a", {}],
		],
		[],
	],
	[
		{ kind: "info" },
		[
			["a", "a"],
			[{}, {}],
		],
		[
			["a", "b", "attribute.info"],
			[{}, "b", "attribute.info"],
		],
	],
	[{ kind: "equal", severity: "off" }, [["a", "b"]], []],
];

const texts = (given: Texts | string): Texts => (typeof given === "string" ? { x: given } : given);

describe.each(TABLE)("%j", (rule, include, exclude) => {
	if (include.length > 0) {
		test.each(include)("passes %j, %j", (source, target) =>
			expect(codes(rule, texts(source), texts(target))).toEqual([]),
		);
	}
	if (exclude.length > 0) {
		test.each(exclude)("finds %j, %j: %s", (source, target, code) =>
			expect(apply(rule, texts(source), texts(target))).toMatchObject([{ code, rule: rule.kind }]),
		);
	}
});

/** 2.1: an id is the same in any case and with or without `0x`, `vfio_pci` is `vfio-pci`. */
describe("the values of a rule are those of a device in another spelling", () => {
	const SPELLED: readonly (readonly [attribute: string, value: string, spelled: string])[] = [
		["device", "101e", "101E"],
		["vendor", "15b3", "0x15B3"],
		["parent_device", "2235", "0x2235"],
		["parent_subsystem_device", "14f0", "0x14F0"],
		["device_api", "vfio-pci", "vfio_pci"],
	];
	describe.each(SPELLED)("%s %s, %s", (attribute, value, spelled) => {
		const device = { [attribute]: value };
		test("none_of", () => {
			const refused = { code: "attribute.refused" };
			const found = apply({ kind: "none_of", attribute, values: [spelled] }, device, device);
			expect(found).toMatchObject([refused, refused]);
		});
		test("one_of", () => {
			expect(codes({ kind: "one_of", attribute, values: ["x", spelled] }, device, device)).toEqual([]);
			expect(codes({ kind: "one_of", attribute, lists: ["y"] }, device, { y: `x, ${spelled}` })).toEqual([]);
		});
	});
});

test("the table has every kind", () => {
	const kinds = Object.keys(RULES) as RuleKind[];
	expect([...new Set(TABLE.map(([{ kind }]) => kind))].sort()).toEqual(kinds.sort());
});

/** rule, source, target, the message */
const MESSAGES: readonly (readonly [
	rule: Partial<Rule> & Pick<Rule, "kind">,
	source: Texts | string,
	target: Texts | string,
	message: string,
])[] = [
	[{ kind: "one_of", values: ["up", "on"] }, "off", "on", "x off of a s must be one of up, on"],
	[{ kind: "one_of", values: ["up", "on"] }, "on", "off", "x off of b t must be one of up, on"],
	[{ kind: "none_of", values: ["off"] }, "off", "on", "x off of a s is refused: no device with it can migrate"],
	[{ kind: "none_of", values: ["off"] }, {}, "off", "x off of b t is refused: no device with it can migrate"],
	[{ kind: "one_of", values: ["up"] }, "off", "up", "x off of a s must be up"],
	[{ kind: "one_of", lists: ["y", "z"] }, "1", {}, "b t has no y or z; a s has x 1"],
	[
		{ kind: "version", compare: "major" },
		"1.2",
		"1.4.1",
		"x 1.2 goes to another version of the same major one; b t has 1.4.1",
	],
	[{ kind: "superset" }, "a b c", "b", 'x b of b t lacks a, c; a s has x "a b c"'],
	[{ kind: "superset", compare: "exact" }, "b", "a,b,c", "x a,b,c of b t has a, c too; a s has x b"],
	[{ kind: "mask_superset", target: "y" }, "3", { y: "0x2" }, "y 0x2 of b t lacks 0x1; a s has x 3"],
	[
		{ kind: "mask_superset", target: "y" },
		"g",
		{ y: "1" },
		"x g of a s is not a mask (such as 0x1f, or 31 in decimal)",
	],
	[
		{ kind: "mask_superset", target: "y" },
		"1",
		{ y: "g" },
		"y g of b t is not a mask (such as 0x1f, or 31 in decimal)",
	],
	[{ kind: "mask_equal" }, "0x1", "0x2", "x 0x1 of a s differs from 0x2 of b t"],
	[{ kind: "mask_equal" }, "g", "1", "x g of a s is not a mask (such as 0x1f, or 31 in decimal)"],
	[{ kind: "mask_equal" }, "1", "g", "x g of b t is not a mask (such as 0x1f, or 31 in decimal)"],
	[{ kind: "in_range", range: "r" }, "15", { r: "16-21" }, "x 15 of a s is not within r 16-21 of b t"],
	[{ kind: "in_range", min: "lo" }, "7", { lo: "8" }, "x 7 of a s is less than lo 8 of b t"],
	[{ kind: "in_range", max: "hi" }, "9", { hi: "8" }, "x 9 of a s is more than hi 8 of b t"],
	[{ kind: "in_range", range: "r" }, "18", { r: "21-16" }, "r 21-16 of b t is not a range min-max"],
	[{ kind: "in_range", min: "lo" }, "18", { lo: "low" }, "lo low of b t is not an integer"],
	[{ kind: "in_range", max: "hi" }, "many", { hi: "9" }, "x many of a s is not an integer"],
];
test.each(MESSAGES)("%j, %j, %j: %s", (rule, source, target, message) => {
	expect(apply(rule, texts(source), texts(target))).toMatchObject([{ message }]);
});

/** A rule that compares two attributes shows the value of each. */
test.each([
	[{ kind: "one_of", lists: ["y"] }, "1", "2"],
	[{ kind: "superset", target: "y" }, "1", "2"],
	[{ kind: "mask_superset", target: "y" }, "1", "2"],
	[{ kind: "in_range", max: "y" }, "2", "1"],
] as const)("%j shows x of the source, %s, and y of the target, %s", (rule, source, target) => {
	expect(apply(rule, { x: source }, { y: target })).toMatchObject([{ attribute: "x", source, target }]);
});

/** What cannot be read leaves the pair unknown, wherever a rule looks for it. */
const UNREADABLE: readonly (readonly [Partial<Rule> & Pick<Rule, "kind">, string])[] = [
	[{ kind: "equal" }, "x"],
	[{ kind: "version" }, "x"],
	[{ kind: "one_of" }, "x"],
	[{ kind: "one_of", values: ["1"] }, "x"],
	[{ kind: "one_of", lists: ["y", "z"] }, "y"],
	[{ kind: "none_of", values: ["0"] }, "x"],
	[{ kind: "superset", target: "y" }, "y"],
	[{ kind: "mask_superset" }, "x"],
	[{ kind: "mask_superset", target: "y" }, "y"],
	[{ kind: "mask_equal" }, "x"],
	[{ kind: "in_range", min: "y" }, "y"],
];
test.each(UNREADABLE)("%j says that %s cannot be read", (rule, name) => {
	expect(apply(rule, { x: "1" }, {}, { [name]: "EIO" })).toMatchObject([
		{
			code: "attribute.unreadable",
			severity: "error",
			rule: rule.kind,
			message: `${name} of b t cannot be read (EIO)`,
		},
	]);
	const warning = { ...rule, severity: "warning" } as const;
	expect(apply(warning, { x: "1" }, {}, { [name]: "EIO" })).toMatchObject([{ severity: "warning" }]);
});

test("info names what cannot be read", () => {
	expect(apply({ kind: "info" }, { x: "1" }, {}, { x: "EIO" })).toMatchObject([
		{ code: "attribute.info", severity: "warning", message: "x: a s has 1, b t has EIO" },
	]);
});

test("a rule names every attribute that it looks at", () => {
	const rule = {
		attribute: "a",
		kind: "in_range",
		target: "b",
		lists: ["c", "d"],
		min: "e",
		max: "f",
		range: "g",
	} as const;
	expect(attributesOf(rule)).toEqual(["a", "b", "c", "d", "e", "f", "g"]);
	expect(attributesOf({ attribute: "a", kind: "equal" })).toEqual(["a"]);
});

describe("properties", () => {
	const bits = fc.bigInt({ min: 0n, max: 2n ** 300n });
	const text = (mask: bigint, hex: boolean) => (hex ? `0x${mask.toString(16)}` : mask.toString());
	const masks = fc.tuple(bits, bits, bits, fc.boolean(), fc.boolean()).map(([a, b, extra, hexA, hexB]) => ({
		a: a & extra,
		b: b | (a & extra & b),
		texts: [hexA, hexB] as const,
	}));
	const bruteSuperset = (a: bigint, b: bigint) => {
		for (let bit = 0n; bit < 301n; bit++) if (((a >> bit) & 1n) === 1n && ((b >> bit) & 1n) === 0n) return false;
		return true;
	};

	test("mask_superset is what looking at each bit says", () => {
		fc.assert(
			fc.property(masks, fc.boolean(), ({ a, b, texts: [hexA, hexB] }, covering) => {
				const target = covering ? a | b : b;
				const found = codes({ kind: "mask_superset" }, { x: text(a, hexA) }, { x: text(target, hexB) });
				expect(found.length === 0).toBe(bruteSuperset(a, target));
			}),
		);
	});

	test("mask_equal is equality of numbers", () => {
		fc.assert(
			fc.property(masks, fc.boolean(), ({ a, b, texts: [hexA, hexB] }, same) => {
				const target = same ? a : b;
				const found = codes({ kind: "mask_equal" }, { x: text(a, hexA) }, { x: text(target, hexB) });
				expect(found.length === 0).toBe(a === target);
			}),
		);
	});

	const set = fc.array(fc.constantFrom("A", "B", "C", "A1", "sym", "asym"), { maxLength: 5 });
	const joined = (items: readonly string[], separator: string) => items.join(separator);
	test("superset is what Set says, whatever separates the items", () => {
		const separator = fc.constantFrom(",", ";", "+", " ", ", ", "\n");
		fc.assert(
			fc.property(set, set, separator, separator, (a, b, sa, sb) => {
				const [source, target] = [{ x: joined(a, sa) }, { x: joined(b, sb) }];
				const isSubset = a.every((item) => new Set(b).has(item));
				expect(codes({ kind: "superset" }, source, target).length === 0).toBe(isSubset);
				const isSame = isSubset && b.every((item) => new Set(a).has(item));
				expect(codes({ kind: "superset", compare: "exact" }, source, target).length === 0).toBe(isSame);
			}),
		);
	});

	test("in_range is what comparing numbers says", () => {
		const int = fc.integer({ min: -50, max: 50 });
		fc.assert(
			fc.property(int, int, int, (value, low, high) => {
				const inside = low <= value && value <= high;
				const source = { x: `${value}` };
				expect(
					codes({ kind: "in_range", min: "lo", max: "hi" }, source, { lo: `${low}`, hi: `${high}` }).length === 0,
				).toBe(inside);
				fc.pre(low <= high);
				expect(codes({ kind: "in_range", range: "r" }, source, { r: `${low}-${high}` }).length === 0).toBe(inside);
			}),
		);
	});

	test("no text makes a rule throw", () => {
		const rules: readonly (Partial<Rule> & Pick<Rule, "kind">)[] = TABLE.map(([rule]) => rule);
		fc.assert(
			fc.property(fc.constantFrom(...rules), fc.string(), fc.string(), (rule, a, b) => {
				const target = Object.fromEntries(attributesOf({ attribute: "x", ...rule }).map((name) => [name, b]));
				apply(rule, { x: a }, target);
			}),
		);
	});
});

/** An absent set is an empty one (2.8), and that is not the same as one with something in it. */
describe("superset with compare: exact, where the source has no set", () => {
	const rule = { kind: "superset", compare: "exact" } as const;

	test.each([
		["has something", {}, "sym;asym", {}, ["set.not_superset"]],
		["calls it otherwise", { target: "y" }, { y: "sym" }, {}, ["set.not_superset"]],
		["cannot show it", {}, {}, { x: "EIO" }, ["attribute.unreadable"]],
	])("is not satisfied when the target %s", (_what, more, offered, unreadable, expected) => {
		const target = typeof offered === "string" ? { x: offered } : offered;
		expect(codes({ ...rule, ...more }, {}, target, unreadable)).toEqual(expected);
	});

	test("is satisfied when the target has nothing either", () => {
		expect(codes(rule, {}, { x: "" })).not.toContain("set.not_superset");
		expect(codes(rule, {}, {})).toEqual([]);
	});
});
