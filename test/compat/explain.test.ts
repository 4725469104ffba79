import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import { conclude } from "../../src/compat/decision.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { explain } from "../../src/compat/explain.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

const question = (devices: readonly Candidate[], candidates: readonly Candidate[], policy = DEFAULT_POLICY) => ({
	source_host: "cmp-01",
	target_host: "cmp-02",
	devices,
	candidates,
	policy,
});
const ask = (devices: readonly Candidate[], candidates: readonly Candidate[]) => explain(question(devices, candidates));
const v1 = { software_version: "1.0.0" };

describe("which rules of the policy stepped aside", () => {
	const v = { ...v1, vendor: "8086" };
	const list = { ...v1, vendor: "15b3", vendor_compatible: "8086,15b3" };
	const both = { ...v1, vendor: "15b3", compatible_vendor: "8086,15b3" };
	const DECLARED: readonly (readonly [
		what: string,
		source: typeof v,
		target: typeof v,
		declared: readonly string[],
	])[] = [
		["the target's list of an attribute with a rule", v, list, ["vendor"]],
		["the source's list, which nobody asks", { ...v, ...list }, v, []],
		["lists of both hosts (format G)", { ...v, ...both, vendor: "8086" }, both, ["vendor"]],
		["a version, for which there is no rule", v, v, []],
	];
	test.each(DECLARED)("%s", (_, source, target, declared) => {
		expect(ask([mdev("s", source)], [mdev("t", target)]).comparisons).toMatchObject([{ declared }]);
	});
});

describe("the nearest candidate", () => {
	test("says what would have to change: what is needed, and what there is", () => {
		const { devices } = ask([mdev("s", { software_version: "1.2.0" })], [mdev("t", v1)]);
		expect(devices).toEqual([
			{
				device: "s",
				verdict: "reject",
				candidate: "t",
				changes: [
					{
						code: "version.minor_downgrade",
						attribute: "software_version",
						need: "1.2.0",
						have: "1.0.0",
						message: expect.stringContaining("1.2.0"),
					},
				],
				obligations: [],
			},
		]);
	});

	test("says nothing of an attribute where the reason is about none", () => {
		const silent = { device_api: "vfio-pci", mdev_type: "vendor-type" };
		const [device] = ask([mdev("s", silent)], [mdev("t", silent)]).devices;
		expect(device?.changes).toStrictEqual([{ code: "declaration.none", message: expect.any(String) }]);
	});

	test.each(["device_api", "vendor", "device", "mdev_type"])(
		"is the same hardware with more errors rather than one of another %s",
		(name) => {
			const hardware = { vendor: "8086", device: "591d" };
			const source = mdev("s", { ...hardware, software_version: "1.2.0", interface_version: "2.0.1" });
			const other = mdev("a-other", { ...source.attributes, [name]: "other" });
			const same = mdev("z-same", { ...hardware, software_version: "1.1.0", interface_version: "1.0.0" });
			expect(ask([source], [other, same]).devices).toMatchObject([{ candidate: "z-same" }]);
		},
	);

	test("is the one with fewer errors, however many warnings", () => {
		const rest = { a: "1", b: "1", c: "1" };
		const source = mdev("s", { software_version: "1.2.0", interface_version: "2.0.1", ...rest });
		const more = mdev("a-more", { software_version: "1.1.0", interface_version: "1.0.0", ...rest });
		const fewer = mdev("z-fewer", { software_version: "1.1.0", interface_version: "2.0.1", a: "2", b: "2", c: "2" });
		expect(ask([source], [more, fewer]).devices).toMatchObject([{ candidate: "z-fewer" }]);
	});

	test("is the one with more bugfixes where all else is alike", () => {
		const targets = ["1.0.1", "1.0.3", "1.0.2"].map((software_version, index) =>
			mdev(`t${index}`, { software_version }),
		);
		expect(ask([mdev("s", { software_version: "2.0.0" })], targets).devices).toMatchObject([{ candidate: "t1" }]);
	});

	test("there is none when the host has nothing of the kind", () => {
		const { devices, reasons } = ask([mdev("s", v1)], [mdev("p", v1, { kind: "pci" })]);
		expect(devices).toEqual([{ device: "s", verdict: "reject", changes: [], obligations: [] }]);
		expect(reasons).toMatchObject([{ code: "candidate.none" }]);
	});
});

test("obligations of a conditional verdict stand apart", () => {
	const source = mdev("s", { ...v1, aggregator: "4", dynamic_resources: "aggregator" });
	const target = mdev("p/t", { ...v1, dynamic_resources: "aggregator" }, { kind: "mdev_type", capacity: 2 });
	const decision = ask([source], [target]);
	expect(decision).toMatchObject({ verdict: "conditional", allowed: false, mapping: { s: "p/t" } });
	expect(decision.devices).toMatchObject([
		{ candidate: "p/t", changes: [], obligations: [{ code: "dynamic.set", attribute: "aggregator", need: "4" }] },
	]);
	expect(decision.text).toMatch(/^conditional; set aggregator=4 when claiming cmp-02 p\/t .*\[[0-9a-f]{12}\]$/);
});

test("what must be provisioned is no matter of tolerance", () => {
	const lenient = { ...DEFAULT_POLICY, unknown: { "*": "accept" } } as const;
	const source = mdev("s", { aggregator: "4", dynamic_resources: "aggregator", migration_version: "a" });
	const ready = mdev("t", { aggregator: "4", dynamic_resources: "aggregator", migration_version: "b" });
	const bare = mdev("t", { dynamic_resources: "aggregator", migration_version: "b" });
	expect(decide(question([source], [ready], lenient))).toMatchObject({ verdict: "unknown", allowed: true });
	expect(decide(question([source], [bare], lenient))).toMatchObject({ verdict: "unknown", allowed: false });
	expect(conclude("unknown", [], lenient, "nothing is known").allowed).toBe(false);
});

test("devices that compete say with whom, for what, and how much there is", () => {
	const decision = ask(
		[mdev("a", v1), mdev("b", v1), mdev("c", { software_version: "9.0.0" })],
		[mdev("p/t", v1, { kind: "mdev_type", capacity: 1 })],
	);
	const contest = { devices: ["a", "b"], candidates: ["p/t"], capacity: 1 };
	expect(decision.devices).toMatchObject([
		{ device: "a", verdict: "accept", candidate: "p/t", contest },
		{ device: "b", verdict: "accept", candidate: "p/t", contest },
		{ device: "c", verdict: "reject", candidate: "p/t" },
	]);
	expect(decision.devices[2]).not.toHaveProperty("contest");
	expect(decision.reasons.map(({ code }) => code).sort()).toEqual(["capacity.exhausted", "version.major_mismatch"]);
});

describe("properties", () => {
	const version = fc.constantFrom("1.0.0", "1.0.1", "1.1.0", "2.0.0", "?");
	const devices = (prefix: string) =>
		fc
			.array(fc.tuple(version, fc.nat(2)), { maxLength: 5 })
			.map((list) =>
				list.map(([software_version, capacity], index) =>
					mdev(`${prefix}${index}`, { software_version }, { capacity, kind: prefix === "t" ? "mdev_type" : "mdev" }),
				),
			);

	test("it is the decision, and more; every pair is compared as if it were alone", () => {
		fc.assert(
			fc.property(devices("s"), devices("t"), (sources, targets) => {
				const explained = ask(sources, targets);
				expect(explained).toMatchObject(decide(question(sources, targets)));
				expect(explained.comparisons).toHaveLength(sources.length * targets.length);
				for (const { device, candidate, reasons } of explained.comparisons) {
					const pair = [
						sources.filter(({ id }) => id === device),
						targets.filter(({ id }) => id === candidate),
					] as const;
					expect(ask(...pair).comparisons).toMatchObject([{ reasons }]);
				}
			}),
		);
	});

	test("the id is that of the question: another order is the same one, another device another", () => {
		fc.assert(
			fc.property(devices("s"), devices("t"), (sources, targets) => {
				const { id } = decide(question(sources, targets));
				expect(decide(question(sources.toReversed(), targets.toReversed())).id).toBe(id);
				expect(decide(question([...sources, mdev("s9", v1)], targets)).id).not.toBe(id);
				expect(decide(question(sources, [...targets, mdev("t9", v1)])).id).not.toBe(id);
				expect(decide(question(sources, targets, { ...DEFAULT_POLICY, newer_source: "reject" })).id).not.toBe(id);
			}),
		);
	});

	test("no candidate takes more devices than it has room for", () => {
		fc.assert(
			fc.property(devices("s"), devices("t"), (sources, targets) => {
				const taken = Object.values(decide(question(sources, targets)).mapping);
				for (const { id, capacity } of targets) {
					expect(taken.filter((candidate) => candidate === id).length).toBeLessThanOrEqual(capacity);
				}
			}),
		);
	});
});
