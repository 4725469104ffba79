import { Range as SemverRange, satisfies } from "semver";
import { compare } from "../../src/compat/compare.ts";
import { decide } from "../../src/compat/decide.ts";
import type { Candidate, Device } from "../../src/compat/device.ts";
import { fleetOf } from "../../src/compat/fleet.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { inRanges, isMalformed, parseRanges } from "../../src/compat/range.ts";
import { rankDecisions } from "../../src/compat/rank.ts";
import { parseVersion } from "../../src/compat/version.ts";

/** Nanoseconds of one call: the median of rounds that take turns, so that a slow moment of the machine hits all alike. */
function measure(
	subjects: Readonly<Record<string, () => unknown>>,
	rounds = 15,
	milliseconds = 20,
	batch = 200,
): ReadonlyMap<string, number> {
	const times = new Map(Object.keys(subjects).map((name) => [name, [] as number[]]));
	for (let round = 0; round < rounds + 3; round++) {
		for (const [name, run] of Object.entries(subjects)) {
			let calls = 0;
			let sink = 0;
			const started = performance.now();
			let elapsed = 0;
			do {
				for (let index = 0; index < batch; index++) sink += run() ? 1 : 0;
				calls += batch;
				elapsed = performance.now() - started;
			} while (elapsed < milliseconds);
			if (sink < 0) throw new Error("never");
			if (round >= 3) times.get(name)?.push((elapsed * 1e6) / calls);
		}
	}
	return new Map([...times].map(([name, list]) => [name, median(list)]));
}

function median(values: readonly number[]): number {
	return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

/** The seed's list in both grammars, and versions in and out of it; the subjects take them in turn. */
const LIST = "2.0.2-2.0.4,2.1.0-";
const SEMVER = ">=2.0.2 <=2.0.4 || >=2.1.0 <3.0.0";
const VERSIONS = ["2.0.1", "2.0.3", "2.0.5", "2.1.0", "2.7.12", "3.0.0"];

function membership(): void {
	const ranges = parseRanges(LIST);
	if (isMalformed(ranges)) throw new Error(ranges.problem);
	const parsed = new SemverRange(SEMVER);
	let turn = 0;
	const next = () => VERSIONS[turn++ % VERSIONS.length] ?? "";
	const accepts = (text: string, list: typeof ranges) => {
		const version = parseVersion(text);
		return version !== undefined && inRanges(version, list);
	};
	for (const version of VERSIONS) {
		if (accepts(version, ranges) !== satisfies(version, SEMVER)) throw new Error(`the ranges differ on ${version}`);
	}
	const times = measure({
		"ours, list parsed": () => accepts(next(), ranges),
		"semver Range.test(string)": () => parsed.test(next()),
		"ours, list as text": () => {
			const list = parseRanges(LIST);
			return !isMalformed(list) && accepts(next(), list);
		},
		"semver satisfies(string, string)": () => satisfies(next(), SEMVER),
		"semver new Range(string).test(string)": () => new SemverRange(SEMVER).test(next()),
	});
	const ours = times.get("ours, list parsed") ?? Number.NaN;
	console.log(`\nIs a version in ${LIST}?${" ".repeat(20)}ns/call   x ours (list parsed)`);
	for (const [name, ns] of times)
		console.log(`  ${name.padEnd(42)}${ns.toFixed(0).padStart(8)}${(ns / ours).toFixed(1).padStart(12)}`);
}

/** An mdev or a type as hosts of a fleet have them: 8 types, of which a host has the same ones in one of three versions. */
function device(id: string, kind: Candidate["kind"], type: number, version: string, capacity = 1): Candidate {
	const attributes = {
		device_api: "vfio-pci",
		mdev_type: `vendor-${type}`,
		software_version: version,
		interface_version: version,
		interface_version_compatible: LIST,
	};
	return { id, kind, capacity, attributes, unreadable: {} };
}

function devices(count: number): readonly Device[] {
	return Array.from({ length: count }, (_value, index) => device(`s${index}`, "mdev", index % 8, "2.1.0"));
}

function host(number: number): { readonly host: string; readonly candidates: readonly Candidate[] } {
	const version = ["2.1.0", "2.1.3", "2.0.1"][number % 3] ?? "";
	const types = Array.from({ length: 8 }, (_value, type) =>
		device(`0000:3b:00.0/vendor-${type}`, "mdev_type", type, version, 1 + (number % 4)),
	);
	const free = Array.from({ length: 8 }, (_value, index) =>
		device(`mdev-${number}-${index}`, "mdev", index % 8, version),
	);
	return { host: `cmp-${String(number).padStart(6, "0")}`, candidates: [...types, ...free] };
}

const MACHINERY = { source_host: "source", policy: DEFAULT_POLICY };

function decisions(): void {
	const [source] = devices(1);
	const target = device("t", "mdev_type", 0, "2.1.3");
	if (!source) return;
	const pair = { ...MACHINERY, target_host: "target", source, target, device_class: undefined };
	const alike = Array.from({ length: 64 }, (_value, index) => device(`t${index}`, "mdev", index % 8, "2.1.3"));
	const distinct = alike.map((one, index) => ({ ...one, attributes: { ...one.attributes, slot: String(index) } }));
	const question = { ...MACHINERY, target_host: "target", devices: devices(8) };
	const times = measure({
		"one pair": () => compare(pair),
		"8 devices x 64 candidates of 8 classes": () => decide({ ...question, candidates: alike }),
		"8 devices x 64 candidates, no two alike": () => decide({ ...question, candidates: distinct }),
	});
	console.log("\nDecisions                                        us/call");
	for (const [name, ns] of times) console.log(`  ${name.padEnd(42)}${(ns / 1000).toFixed(1).padStart(11)}`);
}

/** With the snapshots in memory, and everything that one ranking does: what an operator waits for is what is measured. */
function fleets(): void {
	const asker = { ...MACHINERY, devices: devices(8) };
	console.log("\nRanking, 8 source devices, 16 candidates a host  ms/call   us/host");
	const RANKINGS = [
		["the best 20 with reasons", 20, [1_000, 10_000, 100_000]],
		["all with reasons", undefined, [1_000, 10_000]],
	] as const;
	for (const [what, limit, hosts] of RANKINGS.flatMap(([what, limit, sizes]) =>
		sizes.map((hosts) => [what, limit, hosts] as const),
	)) {
		const offers = Array.from({ length: hosts }, (_value, number) => host(number));
		const ns = measure({ rank: () => rankDecisions(asker, fleetOf(offers), limit) }, 7, 1, 1).get("rank") ?? Number.NaN;
		const name = `${hosts.toLocaleString("en")} hosts, ${what}`;
		console.log(
			`  ${name.padEnd(42)}${(ns / 1e6).toFixed(1).padStart(11)}${(ns / 1e3 / hosts).toFixed(2).padStart(10)}`,
		);
	}
}

/** The most expensive declarations that a device could bring along; each is compared once. */
function hostile(): void {
	const numbers = Array.from({ length: 64 }, (_value, index) => index).join(",");
	const fill = (text: string) => text.repeat(Math.floor(65_000 / text.length));
	const blocks = (text: string) => ({ migration_compatible: `SELF:\na=x\nb=x\n${text}` });
	const heavy = `COMPATIBLE:\na={a:int:${numbers}}\nb={b:int:${numbers}}\nc={a}x{b}\n`;
	const json = { migration_version: `[${fill("{},")}{}]` };
	const SUBJECTS: Readonly<Record<string, readonly [Device["attributes"], Device["attributes"]]>> = {
		"4,096 ranges": [
			{ interface_version: "9.9.9" },
			{ interface_version_compatible: Array.from({ length: 4096 }, (_v, i) => `1.${i}.0-1.${i}.5`).join(",") },
		],
		"4,096 items on both sides": [{ compatible_x: fill("item,") }, { compatible_x: fill("other,") }],
		"64 KiB of blocks with 4,096 combinations": [blocks(""), blocks(fill(heavy))],
		"64 KiB of one template": [blocks(""), blocks(`COMPATIBLE:\na={v:int:1}${fill("{v}x")}`)],
		"64 KiB of JSON descriptors on both sides": [json, json],
	};
	console.log("\nHostile devices                                    ms/pair");
	for (const [name, [a, b]] of Object.entries(SUBJECTS)) {
		const bare = { kind: "mdev", capacity: 1, unreadable: {} } as const;
		const [source, target] = [
			{ ...bare, id: "s", attributes: a },
			{ ...bare, id: "t", attributes: b },
		];
		const pair = { ...MACHINERY, target_host: "target", source, target, device_class: undefined };
		const ns = measure({ pair: () => compare(pair) }, 7, 1, 1).get("pair") ?? Number.NaN;
		console.log(`  ${name.padEnd(42)}${(ns / 1e6).toFixed(1).padStart(11)}`);
	}
}

membership();
decisions();
fleets();
hostile();
