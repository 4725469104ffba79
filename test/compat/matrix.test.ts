import { describe, expect, test } from "vitest";
import type { Candidate } from "../../src/compat/device.ts";
import { deviceTypeOf, matrix } from "../../src/compat/matrix.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

const host = (name: string, ...devices: readonly Candidate[]) => ({ host: name, devices });
const type = (software_version: string) => mdev("p/t", { software_version }, { kind: "mdev_type", capacity: 0 });
const verdicts = (...hosts: readonly ReturnType<typeof host>[]) =>
	matrix(hosts, DEFAULT_POLICY).classes.flatMap(({ device_type, rows }) =>
		rows.flatMap(({ cells }) =>
			cells.map(
				({ source_host, target_host, verdict }) => `${device_type}: ${source_host} -> ${target_host} ${verdict}`,
			),
		),
	);

describe("device types", () => {
	test.each([
		[mdev("a", { mdev_type: "nvidia-558" }), "mdev nvidia-558"],
		[mdev("p/nvidia-558", { mdev_type: "nvidia-558" }, { kind: "mdev_type" }), "mdev nvidia-558"],
		[
			mdev("v", { vendor: "8086", device: "1515", driver: "ixgbe_vfio_pci" }, { kind: "pci" }),
			"pci 8086:1515 ixgbe_vfio_pci",
		],
		[mdev("v", {}, { kind: "pci" }), "pci ?:? without driver"],
		[mdev("pf", {}, { kind: "pci", attributes: { vendor: "8086", device: "1515" } }), undefined],
		[mdev("gone", {}, { attributes: {} }), undefined],
	])("%j is %s", (device, name) => expect(deviceTypeOf(device)).toBe(name));
});

describe("matrix", () => {
	test("leaves out what no instance could use", () => {
		const bare = mdev("0000:3b:00.0", {}, { kind: "pci", attributes: { vendor: "8086", device: "1515" } });
		expect(matrix([host("a", bare), host("b", bare)], DEFAULT_POLICY).classes).toEqual([]);
	});

	test("has a cell for each ordered pair of hosts, whatever is in use", () => {
		expect(verdicts(host("b", type("1.1.0")), host("a", type("1.0.0")), host("c"))).toEqual([
			"mdev vendor-type: a -> b accept",
			"mdev vendor-type: a -> c reject",
			"mdev vendor-type: b -> a reject",
			"mdev vendor-type: b -> c reject",
		]);
	});

	test("the device that fits worst decides, each with the candidate that fits it best", () => {
		const [old, young] = [mdev("1", { software_version: "1.0.0" }), mdev("2", { software_version: "1.1.0" })];
		const [first, second] = [mdev("3", { software_version: "1.0.0" }), mdev("4", { software_version: "1.1.1" })];
		expect(verdicts(host("a", old, young), host("b", first, second))).toContain("mdev vendor-type: a -> b accept");
		expect(verdicts(host("a", old, young), host("b", first))).toContain("mdev vendor-type: a -> b reject");
	});

	test("mdevs speak for their type; the type node only where there is none", () => {
		const made = mdev("u", { software_version: "1.0.0" });
		const silent = { ...type(""), attributes: { device_api: "vfio-pci", mdev_type: "vendor-type" } };
		expect(verdicts(host("a", made, silent), host("b", type("1.0.0")))).toContain("mdev vendor-type: a -> b accept");
		expect(verdicts(host("a", silent), host("b", type("1.0.0")))).toContain("mdev vendor-type: a -> b reject");
	});

	test("types by name, hosts by name", () => {
		const both = (...types: readonly string[]) => types.map((mdev_type) => mdev(mdev_type, { mdev_type }));
		const found = matrix([host("c", ...both("t2", "t1")), host("a", ...both("t3")), host("b")], DEFAULT_POLICY);
		expect(found.hosts).toEqual(["a", "b", "c"]);
		expect(found.classes.map(({ device_type }) => device_type)).toEqual(["mdev t1", "mdev t2", "mdev t3"]);
	});

	test("the worst verdict stands for a type, of alike ones the one with more warnings", () => {
		const own = { software_version: "1.0.0", a: "1", b: "1", dynamic_resources: "aggregator", aggregator: "4" };
		const { software_version: _hidden, ...silent } = own;
		const bestFirst = [
			mdev("clean", own),
			mdev("warned", { ...own, a: "2" }),
			mdev("warned twice", { ...own, a: "2", b: "2" }),
			mdev("conditional", { ...own, aggregator: "8" }),
			mdev("unknown", silent, { unreadable: { software_version: "EIO" } }),
			mdev("rejected", { ...own, software_version: "9.0.0" }),
		];
		const told = (...devices: readonly Candidate[]) =>
			matrix(
				[host("a", ...devices.map((one, index) => ({ ...one, id: `${index}` }))), host("b", mdev("t", own))],
				DEFAULT_POLICY,
			)
				.classes.flatMap(({ rows }) => rows)
				.filter(({ source_host }) => source_host === "a")
				.flatMap(({ cells }) => cells.map(({ verdict, warnings }) => `${verdict} ${warnings}`))
				.join();
		expect(bestFirst.map((device) => told(device))).toEqual([
			"accept 0",
			"accept 1",
			"accept 2",
			"conditional 1",
			"unknown 0",
			"reject 0",
		]);
		for (const [index, device] of bestFirst.entries()) {
			const better = bestFirst.slice(0, index);
			expect(told(...better, device)).toBe(told(device));
			expect(told(device, ...better)).toBe(told(device));
		}
	});

	test("of devices that fit equally badly the first by id", () => {
		const own = { software_version: "1.0.0", a: "1", b: "1" };
		const devices = [mdev("2", { ...own, b: "2" }), mdev("1", { ...own, a: "2" })];
		const { classes } = matrix([host("a", ...devices), host("b", mdev("t", own))], DEFAULT_POLICY);
		expect(classes[0]?.rows[0]?.cells).toMatchObject([{ warnings: 1, message: "a 2 of a 1 differs from 1 of b t" }]);
	});

	test("a host without anything of the kind says so", () => {
		const { classes } = matrix([host("a", mdev("1", { software_version: "1.0.1" })), host("b")], DEFAULT_POLICY);
		expect(classes[0]?.rows[0]?.cells).toEqual([
			{
				source_host: "a",
				target_host: "b",
				verdict: "reject",
				warnings: 0,
				code: "candidate.none",
				message: "b has no device of this kind",
			},
		]);
	});

	test("a cell that is no plain accept says why", () => {
		const { classes } = matrix(
			[host("a", mdev("1", { software_version: "1.0.1" })), host("b", type("1.0.0"))],
			DEFAULT_POLICY,
		);
		expect(classes[0]?.rows[0]?.cells).toEqual([
			{
				source_host: "a",
				target_host: "b",
				verdict: "accept",
				warnings: 1,
				code: "version.bugfix_downgrade",
				message: expect.stringContaining("b p/t"),
			},
		]);
	});

	test("no hosts, no classes", () => expect(matrix([], DEFAULT_POLICY)).toEqual({ hosts: [], classes: [] }));
});
