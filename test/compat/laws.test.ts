import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

/** What holds of every decision, whatever the devices are. */
const ask = (devices: readonly Candidate[], candidates: readonly Candidate[], policy = DEFAULT_POLICY) =>
	decide({ source_host: "cmp-01", target_host: "cmp-02", devices, candidates, policy });

const GOLDEN = new URL("../agent/golden/classes/", import.meta.url);
const SNAPSHOTS = readdirSync(GOLDEN).map(
	(file) =>
		[
			file.replace(".snapshot.json", ""),
			(JSON.parse(readFileSync(new URL(file, GOLDEN), "utf8")) as { readonly devices: readonly Candidate[] }).devices,
		] as const,
);

/** The promise is P2 of README: what cannot be read may leave a device unknown, and never makes an accept of a refusal. */
describe("an attribute that cannot be read never lets pass what is refused when it can", () => {
	const hiding = (device: Candidate, name: string): Candidate => {
		const { [name]: _, ...attributes } = device.attributes;
		return { ...device, attributes, unreadable: { ...device.unreadable, [name]: "EIO" } };
	};
	/** What an overlay says that knows nothing of the device but its version: then no class is needed to accept it. */
	const declared = (device: Candidate): Candidate => ({
		...device,
		attributes: { ...device.attributes, software_version: "1.0.0" },
	});
	test.each(SNAPSHOTS)("%s", (_name, devices) => {
		for (const device of devices.flatMap((one) => [one, declared(one)])) {
			const others = devices
				.filter(({ kind }) => kind === device.kind)
				.slice(0, 2)
				.map(declared);
			for (const target of [device, ...others]) {
				if (ask([device], [target]).allowed) continue;
				for (const name of Object.keys(device.attributes)) {
					expect(ask([hiding(device, name)], [target]).allowed, `${name} of ${device.id} on the source`).toBe(false);
					expect(ask([device], [hiding(target, name)]).allowed, `${name} of ${target.id} on the target`).toBe(false);
				}
			}
		}
	});
});

test.each(["software_version", "compatible_pci_ids"])("%s is a declaration, also one that cannot be read", (name) => {
	const device = mdev("s", {}, { unreadable: { [name]: "EIO" } });
	expect(ask([device], [device])).toMatchObject({ verdict: "unknown", reasons: [{ code: "attribute.unreadable" }] });
	expect(ask([device], [device]).reasons).toHaveLength(1);
});

/** Both hosts have these, and say nothing by them. */
const EMPTY = { interface_version: "", interface_version_compatible: "" };
test.each([
	["cannot be read", mdev("s", { interface_version: "" }, { unreadable: { interface_version_compatible: "EIO" } })],
	["has items", mdev("s", { ...EMPTY, interface_version_compatible: "1.0-" })],
] as const)("a list of the side that is not asked is no declaration, also one that %s", (_, device) => {
	for (const one of [device, mdev("s", EMPTY)]) {
		expect(ask([one], [mdev("t", EMPTY)])).toMatchObject({
			verdict: "unknown",
			reasons: [{ code: "declaration.none" }],
		});
	}
});

const texts = fc.record(
	{
		software_version: fc.constantFrom("1.0.0", "1.0.1", "1.1.0", ""),
		interface_version: fc.constantFrom("2.0", "2.1"),
		interface_version_compatible: fc.constantFrom("2.0-", "2.1"),
		dynamic_resources: fc.constant("aggregator"),
		aggregator: fc.constantFrom("1", "2"),
		base_type: fc.constantFrom("", "b"),
		aggregation_ratio: fc.constantFrom("", "1"),
		mdev_type: fc.constantFrom("a", "b"),
		revision: fc.constantFrom("1", "2"),
	},
	{ requiredKeys: [] },
);
const hidden = fc.oneof(
	{ weight: 5, arbitrary: fc.constant({}) },
	fc.constant({ revision: "EIO", software_version: "EIO" }),
);
const someOf = (prefix: string, minLength: number) =>
	fc
		.array(fc.tuple(texts, hidden, fc.nat(2)), { minLength, maxLength: 3 })
		.map((list) =>
			list.map(([attributes, unreadable, capacity], index) =>
				mdev(`${prefix}${index}`, attributes, { unreadable, ...(prefix === "t" && { kind: "mdev_type", capacity }) }),
			),
		);
const world = fc.record({
	devices: someOf("s", 1),
	candidates: someOf("t", 0),
	unknown: fc.constantFrom<Policy["unknown"]>({ "*": "reject" }, { "*": "accept" }, { "attribute.*": "accept" }),
});

test("a device less never turns what is allowed into what is not", () => {
	fc.assert(
		fc.property(world, ({ devices, candidates, unknown }) => {
			const policy = { ...DEFAULT_POLICY, unknown };
			if (!ask(devices, candidates, policy).allowed) return;
			for (const one of devices) {
				const rest = devices.filter((other) => other !== one);
				expect(ask(rest, candidates, policy).allowed).toBe(true);
			}
		}),
		{ numRuns: 100 },
	);
});

/** What fits, what must be set first, what nobody can tell and the policy lets pass or does not, what is refused. */
const OFFERS = [
	mdev("", { software_version: "1.0.0", agg: "4" }),
	mdev("", { software_version: "1.0.0", agg: "2" }),
	mdev("", { agg: "4" }, { unreadable: { software_version: "EIO" } }),
	mdev("", { software_version: "1.0.0", agg: "4", migration_version: "2" }),
	mdev("", { software_version: "0.9.0", agg: "4" }),
];
test("a candidate more never turns what is allowed into what is not", () => {
	const device = (id: string, capable: boolean) =>
		mdev(id, {
			software_version: "1.0.0",
			dynamic_resources: "agg",
			agg: "4",
			...(capable && { migration_version: "1" }),
		});
	fc.assert(
		fc.property(
			fc.array(fc.boolean(), { minLength: 1, maxLength: 3 }),
			fc.array(fc.constantFrom(...OFFERS), { maxLength: 4 }),
			(capable, offers) => {
				const policy = { ...DEFAULT_POLICY, unknown: { "attribute.unreadable": "accept" } } as const;
				const devices = capable.map((one, index) => device(`s${index}`, one));
				const candidates = offers.map((offer, index) => ({ ...offer, id: `t${index}` }));
				if (ask(devices, candidates, policy).allowed) return;
				for (const one of candidates) {
					const rest = candidates.filter((other) => other !== one);
					expect(ask(devices, rest, policy).allowed).toBe(false);
				}
			},
		),
		{ numRuns: 300 },
	);
});

test("what is allowed is allowed pair by pair", () => {
	fc.assert(
		fc.property(world, ({ devices, candidates, unknown }) => {
			const policy = { ...DEFAULT_POLICY, unknown };
			const { allowed, mapping } = ask(devices, candidates, policy);
			if (!allowed) return;
			for (const device of devices) {
				const taken = candidates.filter(({ id }) => id === mapping[device.id]);
				expect(ask([device], taken, policy).allowed).toBe(true);
			}
		}),
		{ numRuns: 100 },
	);
});

test("what is possible pair by pair is allowed, where there is room for all", () => {
	fc.assert(
		fc.property(world, ({ devices, candidates, unknown }) => {
			const policy = { ...DEFAULT_POLICY, unknown };
			const seats = candidates.flatMap((one) => Array.from({ length: one.capacity }, () => one));
			const fits = devices.map((device) => seats.map((seat) => ask([device], [seat], policy).allowed));
			const without = (free: readonly number[], seat: number) => free.filter((other) => other !== seat);
			const canAll = ([first, ...rest]: typeof fits, free: readonly number[]): boolean =>
				first === undefined || free.some((seat) => first[seat] && canAll(rest, without(free, seat)));
			expect(ask(devices, candidates, policy).allowed).toBe(canAll(fits, [...seats.keys()]));
		}),
		{ numRuns: 100 },
	);
});

test("by whatever names the hosts go, nothing but the names and the id is another", () => {
	const [source_host, target_host] = ["a.example.org", "0"];
	const renamed = (text: string) => text.replaceAll("cmp-01", source_host).replaceAll("cmp-02", target_host);
	fc.assert(
		fc.property(world, ({ devices, candidates, unknown }) => {
			const policy = { ...DEFAULT_POLICY, unknown };
			const { id: _id, text: _text, reasons, ...same } = ask(devices, candidates, policy);
			const messages = reasons.map((one) => ({ ...one, message: renamed(one.message) }));
			expect(decide({ source_host, target_host, devices, candidates, policy })).toMatchObject({
				...same,
				reasons: messages,
			});
		}),
		{ numRuns: 100 },
	);
});

const STRICTER: readonly Partial<Policy>[] = [
	{ newer_source: "reject" },
	{ cross_type: "never" },
	{ compatible_lists: "exact" },
	{ other_attributes: "equal" },
	{ unknown: { "*": "reject" } },
];
test.each(STRICTER)("a policy with %j allows nothing that the one without refuses", (stricter) => {
	fc.assert(
		fc.property(world, ({ devices, candidates, unknown }) => {
			const policy = { ...DEFAULT_POLICY, unknown };
			if (ask(devices, candidates, policy).allowed) return;
			expect(ask(devices, candidates, { ...policy, ...stricter }).allowed).toBe(false);
		}),
		{ numRuns: 50 },
	);
});

/** What both sides declare, in each format that has a direction. */
const [SELVES, ACCEPTED] = [
	["", "x=1\n", "x=1\nmdev_type=a\n"],
	["", "x=1\n", "x=1\nmdev_type=a\n", "x=1\nmdev_type=b\n"],
];
const [OBJECTS, LISTED] = [
	[{}, { x: "1" }, { x: "1", mdev_type: "a" }],
	[{}, { x: "1" }, { x: "1", mdev_type: "a" }],
];
const mdev_type = fc.constantFrom("a", "b");
const software_version = fc.constant("1.0.0");
const DECLARATIONS = [
	fc.record(
		{ mdev_type, mdev_type_compatible: fc.constantFrom("a", "b"), software_version },
		{ requiredKeys: ["mdev_type"] },
	),
	fc.record(
		{
			interface_version: fc.constantFrom("1.0", "2.0", "2.1"),
			interface_version_compatible: fc.constantFrom("", "1.0", "2.0-"),
		},
		{ requiredKeys: ["interface_version"] },
	),
	fc.record({
		mdev_type,
		migration_compatible: fc
			.tuple(fc.constantFrom(...SELVES), fc.subarray(ACCEPTED))
			.map(([self, blocks]) => [`SELF:\n${self}`, ...blocks].join("COMPATIBLE:\n")),
	}),
	fc.record({
		mdev_type,
		migration_version: fc
			.tuple(fc.constantFrom(...OBJECTS), fc.subarray(LISTED))
			.map(([self, compatible]) => JSON.stringify({ self: [self], compatible })),
	}),
] as readonly fc.Arbitrary<Readonly<Record<string, string>>>[];
const declarations = fc.oneof(...DECLARATIONS.map((one) => fc.tuple(one, one)));

test.each(["target-accepts", "source-declares"] as const)(
	"where both are asked nothing passes that %s alone refuses",
	(direction) => {
		fc.assert(
			fc.property(declarations, ([source, target]) => {
				const [devices, candidates] = [[mdev("s", source)], [mdev("t", target)]];
				if (!ask(devices, candidates, { ...DEFAULT_POLICY, direction: "both" }).allowed) return;
				expect(ask(devices, candidates, { ...DEFAULT_POLICY, direction }).allowed).toBe(true);
			}),
			{ numRuns: 400 },
		);
	},
);
