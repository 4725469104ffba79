import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { classify, fits } from "../../src/compat/device-class.ts";
import { DEFAULT_POLICY, type DeviceClass } from "../../src/compat/policy.ts";
import { mdev, pci } from "../support/devices.ts";

/** pattern, texts that fit, texts that do not */
const PATTERNS: readonly (readonly [string, readonly string[], readonly string[]])[] = [
	["nvidia-*", ["nvidia-558", "nvidia-"], ["nvidia", "xnvidia-1", "NVIDIA-1"]],
	["*", ["", "x"], []],
	["", [""], ["x"]],
	["a*b", ["ab", "aab", "axbxb"], ["a", "b", "abc", "xab"]],
	["a*b*c", ["abc", "aXbYc", "abbc"], ["ac", "acb", "abcd"]],
	["ab*ab", ["abab", "abXab"], ["ab", "aba"]],
	["a.b", ["a.b"], ["axb"]],
	["*a*", ["a", "ab", "ba"], ["", "b"]],
	["*b*b", ["bb", "bab"], ["b", "ba"]],
];
describe.each(PATTERNS)("%j", (pattern, inside, outside) => {
	test.each(inside.map((text) => [text]))("fits %j", (text) => expect(fits(pattern, text)).toBe(true));
	if (outside.length > 0) {
		test.each(outside.map((text) => [text]))("does not fit %j", (text) => expect(fits(pattern, text)).toBe(false));
	}
});

describe("the first class that matches is the device's class", () => {
	const named = (name: string, match: DeviceClass["match"]): DeviceClass => ({ name, match, rules: [] });
	const policy = {
		...DEFAULT_POLICY,
		classes: [
			named("a", { kind: ["pci"], driver: ["x", "y*"] }),
			named("b", { driver: ["*"] }),
			named("d", { other: ["*"] }),
			named("c", {}),
		],
	};
	test.each([
		[pci("1", { driver: "x" }), "a"],
		[pci("1", { driver: "yy" }), "a"],
		[pci("1", { driver: "z" }), "b"],
		[pci("1", {}), "c"],
		[mdev("1", { driver: "x" }), "b"],
	])("%j is of class %s", (device, name) => expect(classify(device, policy).device_class?.name).toBe(name));

	test.each([
		[{ driver: "x" }, ["other"], []],
		[{ driver: "z" }, ["other"], []],
		[{}, ["other"], ["other"]],
		[{}, ["another", "other", "driver"], ["other", "driver"]],
	])("%j may be of a class before its own if it has %j: %j would tell", (attributes, hidden, doubtful) => {
		const unreadable = Object.fromEntries(hidden.map((name) => [name, "EIO"]));
		expect(classify(pci("1", attributes, { unreadable }), policy).doubtful).toEqual(doubtful);
	});

	test.each(["0x10de", "10DE", "0x10*"])("an id is the same in any spelling: %s", (vendor) => {
		const one = { ...policy, classes: [named("nvidia", { vendor: [vendor] })] };
		for (const spelled of ["10de", "0x10DE\n"])
			expect(classify(pci("1", { vendor: spelled }), one).device_class?.name).toBe("nvidia");
	});

	test("a device of no class may be of any, the last one too", () => {
		const one = { ...policy, classes: [named("a", { driver: ["x"] }), named("d", { other: ["*"] })] };
		const unreadable = { other: "EIO", another: "EIO" };
		expect(classify(pci("1", {}, { unreadable }), one)).toMatchObject({ device_class: undefined, doubtful: ["other"] });
	});

	test("a policy without classes is the policy", () => {
		const none = { ...DEFAULT_POLICY, classes: [] };
		expect(classify(pci("1", {}), none)).toEqual({ device_class: undefined, policy: none, doubtful: [] });
	});

	test("its rules are in place of the general ones for the same attributes", () => {
		const rules = [
			{ attribute: "a", kind: "equal" },
			{ attribute: "b", kind: "equal" },
		] as const;
		const mine = { name: "mine", match: {}, rules: [{ attribute: "b", kind: "ignore" }] } as const;
		expect(classify(pci("1", {}), { ...DEFAULT_POLICY, rules, classes: [mine] }).policy.rules).toEqual([
			{ attribute: "a", kind: "equal" },
			{ attribute: "b", kind: "ignore" },
		]);
	});
});

describe("what a class goes by and cannot be read", () => {
	const decided = (device: Candidate) => {
		const { capacity: _, ...source } = device;
		const hosts = { source_host: "a", target_host: "b" };
		const { verdict, reasons } = decide({ ...hosts, devices: [source], candidates: [device], policy: DEFAULT_POLICY });
		return [verdict, ...reasons.map(({ code, severity, attribute }) => `${severity} ${code} ${attribute}`)];
	};
	const vgpu = { mdev_type: "nvidia-558", parent_vendor: "10de" };
	const declared = { software_version: "1.0.0" };

	/** a device that migrates to another one like it unless it is of the class, the attribute that would tell */
	test.each([
		["CUDA may be in use", mdev("s", vgpu), "vgpu_params"],
		["its type may be another one", pci("s", { ...declared, vendor: "10de", driver: "nvidia" }), "vgpu_type"],
		["it may be of any driver", pci("s", { ...declared, vendor: "15b3" }), "driver"],
	])("leaves the device unknown: %s", (_why, device, attribute) => {
		expect(decided(device)).toEqual(["accept"]);
		const found = decided({ ...device, unreadable: { [attribute]: "EACCES" } });
		expect(found).toEqual(["unknown", `error attribute.unreadable ${attribute}`]);
	});

	test("does not matter where the device is not of the class for another reason", () => {
		const vf = pci("s", { ...declared, vendor: "15b3", driver: "nvidia" }, { unreadable: { vgpu_type: "EACCES" } });
		expect(decided(vf)).toEqual(["accept", "warning attribute.unreadable vgpu_type"]);
	});
});

test("every built-in class and every rule of it says where it comes from, and when", () => {
	for (const { name, source, date, rules } of DEFAULT_POLICY.classes) {
		for (const one of [{ source, date }, ...rules]) {
			expect(one, name).toMatchObject({ source: expect.any(String), date: expect.stringMatching(/^20\d\d-/) });
		}
	}
});
