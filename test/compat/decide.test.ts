import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { Decision } from "../../src/compat/decision.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { mdev, pci } from "../support/devices.ts";

const ask = (devices: readonly Candidate[], candidates: readonly Candidate[], policy = DEFAULT_POLICY) =>
	decide({ source_host: "cmp-01", target_host: "cmp-02", devices, candidates, policy });

const type = (id: string, capacity: number, attributes: Candidate["attributes"] = v1) =>
	mdev(id, attributes, { kind: "mdev_type", capacity });
const codes = ({ reasons }: Decision) => reasons.map(({ code }) => code);
const v1 = { software_version: "1.0.0" };

describe("capacity", () => {
	test("an mdev type with one free instance cannot take two devices, and the reason names who competes for what", () => {
		const decision = ask([mdev("uuid-b", v1), mdev("uuid-a", v1)], [type("0000:3b:00.0/nvidia-558", 1)]);
		expect(decision).toMatchObject({ verdict: "reject", allowed: false, mapping: {} });
		expect(decision.reasons).toEqual([
			{
				code: "capacity.exhausted",
				severity: "error",
				rule: "match",
				device: "uuid-b",
				candidate: "0000:3b:00.0/nvidia-558",
				message: "cmp-02 has 1 free of what 2 devices compete for (0000:3b:00.0/nvidia-558): uuid-a, uuid-b",
			},
		]);
	});

	test("of several candidates that are too few, the first are named and none is the one", () => {
		const devices = ["c", "b", "a"].map((id) => mdev(id, v1));
		const old = mdev("t1", { software_version: "1.0.1" });
		expect(ask(devices, [mdev("t2", v1), old]).reasons).toEqual([
			{
				code: "capacity.exhausted",
				severity: "error",
				rule: "match",
				device: "c",
				message: "cmp-02 has 2 free of what 3 devices compete for (t1, t2): a, b, c",
			},
		]);
	});

	test("devices alike take candidates alike one by one, both by id", () => {
		const devices = ["b", "a", "c"].map((id) => mdev(id, v1));
		const candidates = [type("t3", 1), type("t1", 1), type("t2", 0), type("t4", 1)];
		expect(ask(devices, candidates).mapping).toEqual({ a: "t1", b: "t3", c: "t4" });
	});

	test("with two free instances it takes both", () => {
		const decision = ask([mdev("a", v1), mdev("b", v1)], [type("p/t", 2)]);
		expect(decision).toMatchObject({ verdict: "accept", allowed: true, mapping: { a: "p/t", b: "p/t" }, reasons: [] });
	});

	test("a type without free instances takes nothing", () => {
		const decision = ask([mdev("a", v1)], [type("p/t", 0)]);
		expect(codes(decision)).toEqual(["capacity.exhausted"]);
		expect(decision.reasons[0]?.message).toBe("cmp-02 has none free of what a needs (p/t)");
	});

	test("however much is taken or wanted, what there is fits into what Nova keeps of a text", () => {
		const full = Array.from({ length: 64 }, (_, n) => type(`0000:41:${10 + n}.0/nvidia-558`, 0));
		const uuid = (n: number) => `4f9a6c1e-1111-4a5c-9d35-0c5d2c5a00${10 + n}`;
		const devices = Array.from({ length: 16 }, (_, n) => mdev(uuid(n), v1));
		expect(ask([mdev(uuid(0), v1)], full).reasons[0]?.message).toBe(
			`cmp-02 has none free of what ${uuid(0)} needs (0000:41:10.0/nvidia-558, 0000:41:11.0/nvidia-558, 0000:41:12.0/nvidia-558 and 61 more)`,
		);
		const decision = ask(devices, [type("p/t", 15)]);
		expect(decision.reasons[0]?.message).toBe(
			`cmp-02 has 15 free of what 16 devices compete for (p/t): ${[0, 1, 2].map(uuid).join(", ")} and 13 more`,
		);
		expect(decision.text).toMatch(/^cmp-02 has 15 free of what 16 devices compete for/);
	});

	test("a device makes room for another one that has no choice", () => {
		const picky = mdev("z-picky", { software_version: "1.1.0" });
		const decision = ask(
			[mdev("a-easy", v1), picky],
			[type("p/new", 1, { software_version: "1.1.0" }), type("q/old", 1)],
		);
		expect(decision.mapping).toEqual({ "a-easy": "q/old", "z-picky": "p/new" });
	});
});

describe("devices that Nova takes for alike", () => {
	const vf = (id: string, attributes: Candidate["attributes"]) =>
		pci(id, { vendor: "15b3", device: "101e", driver: "mlx5_vfio_pci", migratable: "enable", ...attributes });
	const vgpu = (id: string, parent_subsystem_device: string, rest: Partial<Candidate> = {}) =>
		mdev(id, { mdev_type: "nvidia-222", parent_vendor: "10de", parent_device: "1eb8", parent_subsystem_device }, rest);

	test("a VF that does not fit, beside one that does: Nova may choose it", () => {
		const candidates = [vf("c", { migratable: "disable" }), vf("b", {}), vf("d", { roce: "disable" })];
		const decision = ask([vf("a", {})], candidates);
		expect(decision).toMatchObject({ verdict: "accept", allowed: true, mapping: { a: "b" } });
		expect(decision.reasons).toEqual([
			{
				code: "candidate.mixed",
				severity: "warning",
				rule: "match",
				device: "a",
				message: "Nova may give a another free device of cmp-02, which is not accepted: c (migratable), d (roce)",
			},
		]);
	});

	test("a type of the same name on another board", () => {
		const board = { kind: "mdev_type", capacity: 8 } as const;
		const decision = ask([vgpu("a", "12a2")], [vgpu("p", "12a2", board), vgpu("q", "1309", board)]);
		expect(decision.mapping).toEqual({ a: "p" });
		expect(codes(decision)).toEqual(["candidate.mixed"]);
	});

	test("of many, three are named", () => {
		const others = ["c", "d", "e", "f", "g"].map((id) => vf(id, { migratable: "disable" }));
		const [found] = ask([vf("a", {})], [vf("b", {}), ...others]).reasons;
		expect(found?.message).toMatch(/: c \(migratable\), d \(migratable\), e \(migratable\) and 2 more$/);
	});

	test("one of which nobody can tell counts as the policy says", () => {
		const hidden = { ...vf("c", {}), unreadable: { roce: "EIO" } };
		expect(codes(ask([vf("a", {})], [vf("b", {}), hidden]))).toEqual(["candidate.mixed"]);
		expect(codes(ask([vf("a", {})], [vf("b", {}), hidden], { ...DEFAULT_POLICY, unknown: { "*": "accept" } }))).toEqual(
			[],
		);
	});

	test("where nothing is accepted, there is nothing to confuse", () => {
		const hidden = (id: string) => ({ ...vf(id, {}), unreadable: { roce: "EIO" } });
		const decision = ask([vf("a", {})], [hidden("b"), hidden("c"), vf("d", { roce: "disable" })]);
		expect(codes(decision)).toEqual(["attribute.unreadable"]);
	});

	test("what Nova does not take for alike, or cannot take, is nothing to say", () => {
		const full = { kind: "mdev_type", capacity: 0 } as const;
		const others = [vf("c", { driver: "mlx5_core" }), vf("d", { device: "1018" })];
		expect(ask([vf("a", {})], [vf("b", {}), ...others]).reasons).toEqual([]);
		expect(ask([vgpu("a", "12a2")], [vgpu("b", "12a2"), vgpu("q", "1309", full)]).reasons).toEqual([]);
	});
});

describe("kinds", () => {
	test("a PCI function never lands on an mdev type, nor an mdev on a PCI function", () => {
		const pci = mdev("0000:01:00.1", v1, { kind: "pci" });
		const none = { code: "candidate.none", severity: "error", rule: "match" };
		expect(ask([pci], [type("p/t", 1)]).reasons).toEqual([
			{ ...none, device: "0000:01:00.1", message: "cmp-02 has no free PCI device for cmp-01 0000:01:00.1" },
		]);
		expect(ask([mdev("a", v1)], [pci]).reasons).toEqual([
			{ ...none, device: "a", message: "cmp-02 has no free mdev or mdev type for cmp-01 a" },
		]);
	});

	test("a vDPA device lands on one only", () => {
		const device = (id: string, kind: Candidate["kind"]) => mdev(id, v1, { kind });
		expect(ask([device("s", "vdpa")], [device("t", "vdpa")]).mapping).toEqual({ s: "t" });
		expect(ask([device("s", "vdpa")], [device("t", "pci")]).reasons).toMatchObject([
			{ code: "candidate.none", message: "cmp-02 has no free vDPA device for cmp-01 s" },
		]);
	});

	test("an mdev may land on a free mdev that exists already", () => {
		expect(ask([mdev("a", v1)], [mdev("b", v1)]).mapping).toEqual({ a: "b" });
	});
});

describe("preference", () => {
	test("a candidate without warnings is taken before one with", () => {
		const older = mdev("a-first-by-name", { software_version: "1.0.1" });
		const decision = ask(
			[mdev("s", { software_version: "1.0.2" })],
			[older, mdev("z-last", { software_version: "1.0.2" })],
		);
		expect(decision).toMatchObject({ mapping: { s: "z-last" }, reasons: [] });
	});

	test("an unknown pair is taken only when nothing else is left", () => {
		const unreadable = mdev("a", {}, { unreadable: { software_version: "EIO" } });
		expect(ask([mdev("s", v1)], [unreadable, mdev("z", v1)])).toMatchObject({ verdict: "accept", mapping: { s: "z" } });
		expect(ask([mdev("s", v1)], [unreadable])).toMatchObject({
			verdict: "unknown",
			allowed: false,
			mapping: { s: "a" },
		});
		const lenient = { ...DEFAULT_POLICY, unknown: { "*": "accept" } } as const;
		expect(ask([mdev("s", v1)], [unreadable], lenient)).toMatchObject({ verdict: "unknown", allowed: true });
	});

	test("a rejection gives the reasons of the candidate that comes closest", () => {
		const far = mdev("a-far", { software_version: "2.0.0", mdev_type: "other", device_api: "vfio-ccw" });
		const decision = ask([mdev("s", v1)], [far, mdev("z-near", { software_version: "2.0.0" })]);
		expect(decision.reasons).toMatchObject([{ code: "version.major_mismatch", candidate: "z-near" }]);
	});
});

describe("the id", () => {
	const asked = {
		source_host: "cmp-01",
		target_host: "cmp-02",
		devices: [mdev("s", v1)],
		candidates: [type("t", 1)],
		policy: DEFAULT_POLICY,
	};

	test("is the same for the same question, whoever wrote it down in whichever order", () => {
		const turned = (device: Candidate) => ({
			...device,
			attributes: Object.fromEntries(Object.entries(device.attributes).toReversed()),
		});
		const again = { ...asked, devices: asked.devices.map(turned), candidates: asked.candidates.map(turned) };
		expect(decide(again)).toEqual(decide({ ...asked, policy: { ...DEFAULT_POLICY } }));
	});

	test("is another one for another question, even where the answer is the same", () => {
		const questions = [
			asked,
			{ ...asked, source_host: "cmp-03" },
			{ ...asked, target_host: "cmp-03" },
			{ ...asked, devices: [mdev("s2", v1)] },
			{ ...asked, devices: [mdev("s", v1, { kind: "mdev_type" })] },
			{ ...asked, devices: [mdev("s", { ...v1, rev: "a" })] },
			{ ...asked, devices: [mdev("s", v1, { unreadable: { rev: "EIO" } })] },
			{ ...asked, devices: [mdev("s", v1), mdev("s2", v1)] },
			{ ...asked, candidates: [type("t2", 1)] },
			{ ...asked, candidates: [type("t", 2)] },
			{ ...asked, candidates: [type("t", 1, { ...v1, rev: "a" })] },
			{ ...asked, candidates: [mdev("t", v1)] },
			{ ...asked, candidates: [{ ...type("t", 1), unreadable: { rev: "EIO" } }] },
			{ ...asked, candidates: [type("t", 1), type("t2", 1)] },
			{ ...asked, policy: { ...DEFAULT_POLICY, newer_source: "reject" } },
			{ ...asked, policy: { ...DEFAULT_POLICY, classes: [] } },
		] as const;
		const ids = questions.map((question) => decide(question).id);
		expect(new Set(ids).size).toBe(questions.length);
	});
});

describe("properties", () => {
	const attributes = fc.record(
		{
			software_version: fc.constantFrom("1.0.0", "1.0.1", "1.1.0", "2.0.0", "?"),
			interface_version: fc.constantFrom("2.0.2", "2.1.3"),
			interface_version_compatible: fc.constantFrom("2.0.2-2.0.4,2.1.0-", "", "x"),
			mdev_type: fc.constantFrom("vendor-type", "vendor-other"),
		},
		{ requiredKeys: [] },
	);
	const devices = (prefix: string) =>
		fc
			.array(fc.tuple(attributes, fc.nat(2)), { maxLength: 4 })
			.map((list) =>
				list.map(([values, capacity], index) =>
					mdev(`${prefix}${index}`, values, { capacity, kind: prefix === "t" ? "mdev_type" : "mdev" }),
				),
			);

	test("the order of devices and candidates does not matter", () => {
		const worlds = fc.tuple(devices("s"), devices("t")).chain(([s, t]) =>
			fc.record({
				s: fc.constant(s),
				t: fc.constant(t),
				s2: fc.shuffledSubarray(s, { minLength: s.length }),
				t2: fc.shuffledSubarray(t, { minLength: t.length }),
			}),
		);
		fc.assert(fc.property(worlds, ({ s, t, s2, t2 }) => void expect(ask(s2, t2)).toEqual(ask(s, t))));
	});

	test("one more candidate never turns accept into something else", () => {
		const extra = attributes.map((values) => mdev("t9", values, { kind: "mdev_type" }));
		fc.assert(
			fc.property(devices("s"), devices("t"), extra, (s, t, one) => {
				if (ask(s, t).verdict === "accept") expect(ask(s, [...t, one]).verdict).toBe("accept");
			}),
		);
	});

	test("no attribute makes it throw", () => {
		const hostile = fc.dictionary(
			fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "interface_version_compatible")),
			fc.string(),
		);
		fc.assert(fc.property(hostile, hostile, (a, b) => void ask([mdev("s", a)], [mdev("t", b)])));
	});
});

test("the lines of a uevent file are attributes of the device (thread, 19 August 2020)", () => {
	const uevent = (id: string, pciId: string) =>
		mdev(id, { ...v1, uevent: `DRIVER=vfio-pci\nPCI_ID=${pciId}\nPCI_SLOT_NAME=${id}` });
	expect(ask([uevent("a", "8086:591D")], [uevent("b", "8086:591d")])).toMatchObject({ verdict: "accept", reasons: [] });
	expect(codes(ask([uevent("a", "8086:591D")], [uevent("b", "8086:5931")]))).toEqual(["attribute.differs"]);
});
