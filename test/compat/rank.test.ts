import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate } from "../../src/compat/device.ts";
import { fleetOf, type HostOffer } from "../../src/compat/fleet.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { byStanding, decisionsIn, rank, rankDecisions, unplaced } from "../../src/compat/rank.ts";
import { mdev } from "../support/devices.ts";

const type = (software_version: string, capacity = 1, rest: Readonly<Record<string, string>> = {}) =>
	mdev("p/t", { software_version, ...rest }, { kind: "mdev_type", capacity });
const host = (name: string, ...candidates: readonly Candidate[]): HostOffer => ({ host: name, candidates });
const asker = (devices: readonly Candidate[], policy = DEFAULT_POLICY) => ({ source_host: "source", devices, policy });
const source = mdev("s", { software_version: "1.0.0", aggregator: "4" });
const order = (...offers: readonly HostOffer[]) =>
	rank(asker([source]), fleetOf(offers)).map(({ host: name, verdict }) => `${name} ${verdict}`);

test("a host that is not in the fleet has nothing to offer", () => {
	const decision = decisionsIn(fleetOf([]), asker([source]))("elsewhere");
	expect(decision).toEqual(decide({ ...asker([source]), target_host: "elsewhere", candidates: [] }));
	expect(unplaced(["elsewhere", decision])).toEqual({
		host: "elsewhere",
		verdict: "reject",
		allowed: false,
		bugfix: null,
		free_capacity: 0,
	});
});

describe("order", () => {
	test("accept, conditional, unknown, reject", () => {
		const same = { aggregator: "4" };
		expect(
			order(
				host("a", type("2.0.0", 9, same)),
				host("b", { ...type("1.0.0", 9, same), unreadable: { software_version: "EIO" } }),
				host("c", type("1.0.9", 9, { dynamic_resources: "aggregator" })),
				host("d", type("1.0.0", 1, same)),
			),
		).toEqual(["d accept", "c conditional", "b unknown", "a reject"]);
	});

	test("of the same verdict the higher bugfix, then more room, then the name", () => {
		const same = { aggregator: "4" };
		expect(
			order(
				host("e", type("1.0.0", 9, same)),
				host("d", type("1.0.1", 1, same)),
				host("c", type("1.0.1", 2, same)),
				host("b", type("1.0.1", 2, same)),
				host("a", type("1.0.10", 1, same)),
			),
		).toEqual(["a accept", "b accept", "c accept", "d accept", "e accept"]);
	});

	test("the lowest bugfix of all that would be taken counts; none without versions", () => {
		const devices = [
			mdev("a", { mdev_type: "x", software_version: "1.0.0" }),
			mdev("b", { mdev_type: "y", software_version: "1.0.0" }),
		];
		const offers = [
			host(
				"one",
				{ ...type("1.0.7", 1, { mdev_type: "x" }), id: "p/x" },
				{ ...type("1.0.3", 2, { mdev_type: "y" }), id: "p/y" },
			),
			host("two", { ...type("1.0.7", 1, { mdev_type: "x" }), id: "p/x" }),
		];
		expect(rank(asker(devices), fleetOf(offers))).toEqual([
			{ host: "one", verdict: "accept", allowed: true, bugfix: 3, free_capacity: 3 },
			{ host: "two", verdict: "reject", allowed: false, bugfix: null, free_capacity: 1 },
		]);
		const silent = { ...type("1.0.0"), attributes: { device_api: "vfio-pci", mdev_type: "vendor-type" } };
		const [standing] = rank(asker([{ ...source, attributes: silent.attributes }]), fleetOf([host("h", silent)]));
		expect(standing).toMatchObject({ verdict: "unknown", bugfix: null });
	});

	test("the bugfix is that of what is taken, of several the lowest; interface_version where there is no other", () => {
		const at = (id: string, software_version: string) => ({ ...type(software_version), id });
		const versions = (count: number, ...candidates: readonly Candidate[]) => {
			const devices = Array.from({ length: count }, (_, index) => mdev(`s${index}`, { software_version: "1.0.0" }));
			return rank(asker(devices), fleetOf([host("h", ...candidates)]))[0];
		};
		const [old, young] = [at("p/old", "1.0.3"), at("p/young", "1.0.7")];
		expect(versions(1, old, young)).toMatchObject({ verdict: "accept", bugfix: 7, free_capacity: 2 });
		expect(versions(2, old, young)).toMatchObject({ verdict: "accept", bugfix: 3, free_capacity: 2 });
		expect(versions(1, at("p/first", "1.0.0"))).toMatchObject({ verdict: "accept", bugfix: 0 });
		const interfaces = mdev("s", { interface_version: "2.0.0" });
		const offer = host("h", mdev("t", { interface_version: "2.0.5" }));
		expect(rank(asker([interfaces]), fleetOf([offer]))).toMatchObject([{ verdict: "accept", bugfix: 5 }]);
	});

	test("free is what can take a device: neither another kind nor what does not fit", () => {
		const same = { aggregator: "4" };
		const pf = mdev("pf", { software_version: "1.0.0", ...same }, { kind: "pci" });
		const offers = [host("a", pf, type("1.0.0", 2, same)), host("b", pf), host("c", type("2.0.0", 9, same))];
		expect(rank(asker([source]), fleetOf(offers))).toMatchObject([
			{ host: "a", verdict: "accept", free_capacity: 2 },
			{ host: "b", verdict: "reject", free_capacity: 0 },
			{ host: "c", verdict: "reject", free_capacity: 0 },
		]);
	});

	test("devices that want the same do not both get it, on whichever host and of whichever class it is", () => {
		const devices = ["s1", "s2"].map((id) => mdev(id, { software_version: "1.0.0" }));
		const capacities = [2, 1, 2, 1, 3, 2, 1, 1];
		const offers = capacities.map((capacity, index) => host(`h${index}`, type(`1.0.${index}`, capacity)));
		const alike = capacities.map((capacity, index) => host(`i${index}`, type("1.0.0", capacity)));
		for (const { host: name, verdict } of rank(asker(devices), fleetOf([...offers, ...alike]))) {
			expect(verdict, name).toBe(Number(capacities[Number(name.slice(1))]) >= 2 ? "accept" : "reject");
		}
	});

	test("a class counts although only one of the devices can use it", () => {
		const devices = ["1.0.0", "1.1.0"].map((software_version) => mdev(software_version, { software_version }));
		const [old, young] = ["1.0.0", "1.1.0"].map((version) => ({ ...type(version), id: `p/${version}` }));
		if (!old || !young) throw new Error("there are two");
		const offers = [host("a", old, young), host("b", old), host("c", young)];
		expect(rank(asker(devices), fleetOf(offers))).toMatchObject([
			{ host: "a", verdict: "accept", free_capacity: 2 },
			{ host: "b", verdict: "reject", free_capacity: 1 },
			{ host: "c", verdict: "reject", free_capacity: 1 },
		]);
	});

	test("hosts by verdict, bugfix, room, name: each decides before the next", () => {
		const best = { host: "h", verdict: "accept", allowed: true, bugfix: 1, free_capacity: 5 } as const;
		const worse = [
			{ ...best, host: "i" },
			{ ...best, host: "a", free_capacity: 4 },
			{ ...best, host: "a", bugfix: 0, free_capacity: 9 },
			{ ...best, host: "a", bugfix: null, free_capacity: 9 },
			{ ...best, host: "a", verdict: "conditional", bugfix: 9, free_capacity: 9 },
			{ ...best, host: "a", verdict: "unknown", bugfix: 9, free_capacity: 9 },
			{ ...best, host: "a", verdict: "conditional", allowed: false, bugfix: 9, free_capacity: 9 },
		] as const;
		const sorted = [best, ...worse];
		for (const [index, one] of sorted.entries()) {
			expect(byStanding(one, one)).toBe(0);
			for (const other of sorted.slice(index + 1)) {
				expect(byStanding(one, other)).toBeLessThan(0);
				expect(byStanding(other, one)).toBeGreaterThan(0);
			}
		}
	});

	test("a fleet has its hosts by name, and its classes once", () => {
		const { hosts, classes } = fleetOf([
			host("b", type("1.0.0")),
			host("c", type("1.0.1"), { ...type("1.0.0", 3), id: "q/t" }),
			host("a"),
		]);
		expect(hosts.map(({ host: name, numbers, capacities }) => ({ name, numbers, capacities }))).toEqual([
			{ name: "a", numbers: [], capacities: [] },
			{ name: "b", numbers: [0], capacities: [1] },
			{ name: "c", numbers: [1, 0], capacities: [1, 3] },
		]);
		expect(classes.map(({ number }) => number)).toEqual([0, 1]);
		const [one] = fleetOf([host("x", mdev("1", { a: "1", b: "2" }), mdev("2", { b: "2", a: "1" }))]).hosts;
		expect(one?.capacities).toEqual([2]);
	});

	test("no devices fit everywhere, no hosts are no ranking", () => {
		expect(rank(asker([]), fleetOf([host("a"), host("b", type("1.0.0"))]))).toEqual([
			{ host: "a", verdict: "accept", allowed: true, bugfix: null, free_capacity: 0 },
			{ host: "b", verdict: "accept", allowed: true, bugfix: null, free_capacity: 0 },
		]);
		expect(rank(asker([source]), fleetOf([]))).toEqual([]);
	});

	test("an override for one host or one device changes that one only", () => {
		const override = {
			author: "ops",
			reason: "drill",
			created: "2026-01-01T00:00:00Z",
			expires: "2026-01-01T10:00:00Z",
		};
		const offers = ["a", "b", "c"].map((name) => host(name, type("0.9.0", 1, { aggregator: "4" })));
		const forHost = { ...DEFAULT_POLICY, overrides: [{ ...override, scope: { target_host: "b" } }] };
		expect(rank(asker([source], forHost), fleetOf(offers))).toMatchObject([
			{ host: "b", verdict: "accept" },
			{ host: "a", verdict: "reject" },
			{ host: "c", verdict: "reject" },
		]);
		const forDevice = { ...DEFAULT_POLICY, overrides: [{ ...override, scope: { device: "s" } }] };
		const verdicts = (id: string) =>
			rank(asker([{ ...source, id }], forDevice), fleetOf(offers)).map(({ verdict }) => verdict);
		expect([verdicts("s"), verdicts("r")]).toEqual([
			["accept", "accept", "accept"],
			["reject", "reject", "reject"],
		]);
	});
});

describe("properties", () => {
	const attributes = fc.record(
		{
			software_version: fc.constantFrom("1.0.0", "1.0.1", "1.1.0", "2.0.0", "?"),
			interface_version: fc.constantFrom("2.0.2", "2.1.3"),
			interface_version_compatible: fc.constantFrom("2.0.2-2.0.4,2.1.0-", "x"),
			mdev_type: fc.constantFrom("vendor-type", "vendor-other"),
			aggregator: fc.constant("4"),
			uevent: fc.constantFrom("DRIVER=a", "DRIVER=b"),
			dynamic_resources: fc.constant("aggregator"),
		},
		{ requiredKeys: [] },
	);
	const devices = (prefix: string, maxLength: number) =>
		fc
			.array(fc.tuple(attributes, fc.nat(3)), { maxLength })
			.map((list) =>
				list.map(([values, capacity], index) =>
					mdev(`${prefix}${index}`, values, { capacity, kind: prefix === "t" ? "mdev_type" : "mdev" }),
				),
			);
	const offers = fc
		.array(devices("t", 4), { maxLength: 6 })
		.map((hosts) => hosts.map((candidates, index) => host(`cmp-${index}`, ...candidates)));

	const tolerance = fc.constantFrom<"accept" | "reject">("accept", "reject");

	test("every host has the verdict that it has alone", () => {
		fc.assert(
			fc.property(devices("s", 4), offers, tolerance, (sources, all, unknown) => {
				const policy = { ...DEFAULT_POLICY, unknown: { "*": unknown } };
				const asker = (list: readonly Candidate[]) => ({ source_host: "source", devices: list, policy });
				for (const ranked of rankDecisions(asker(sources), fleetOf(all)).hosts) {
					const { bugfix: _bugfix, free_capacity: _free, host: target_host, ...decision } = ranked;
					const candidates = all.find((one) => one.host === target_host)?.candidates ?? [];
					expect(decision).toEqual(decide({ ...asker(sources), target_host, candidates }));
				}
				const standings = rank(asker(sources), fleetOf(all));
				const decisions = rankDecisions(asker(sources), fleetOf(all));
				expect(decisions.hosts).toMatchObject(standings);
			}),
		);
	});

	test("fewer hosts are the first of all of them, and all are counted", () => {
		fc.assert(
			fc.property(devices("s", 4), offers, fc.nat(6), (sources, all, limit) => {
				const ranking = rankDecisions(asker(sources), fleetOf(all));
				const shown = rankDecisions(asker(sources), fleetOf(all), limit);
				expect(shown).toEqual({ verdicts: ranking.verdicts, hosts: ranking.hosts.slice(0, limit) });
				const verdicts = ranking.hosts.map(({ verdict }) => verdict);
				expect(Object.entries(ranking.verdicts).flatMap(([verdict, count]) => Array(count).fill(verdict))).toEqual(
					verdicts,
				);
			}),
		);
	});

	test("the order of the hosts and of their devices does not matter", () => {
		fc.assert(
			fc.property(devices("s", 4), offers, (sources, all) => {
				const turned = all.toReversed().map(({ host: name, candidates }) => host(name, ...candidates.toReversed()));
				expect(rankDecisions(asker(sources.toReversed()), fleetOf(turned))).toEqual(
					rankDecisions(asker(sources), fleetOf(all)),
				);
			}),
		);
	});

	test("one more host moves no other one, and a worse one is not the first", () => {
		fc.assert(
			fc.property(devices("s", 4), offers, devices("t", 4), (sources, all, candidates) => {
				const before = rank(asker(sources), fleetOf(all));
				const after = rank(asker(sources), fleetOf([...all, host("cmp-x", ...candidates)]));
				expect(after.filter((standing) => standing.host !== "cmp-x")).toEqual(before);
				const added = after.find((standing) => standing.host === "cmp-x");
				const [first] = before;
				if (first && added && byStanding(first, added) < 0) expect(after[0]).toEqual(first);
			}),
		);
	});
});
