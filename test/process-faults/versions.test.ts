import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterEach, expect } from "vitest";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { createPrecheck, type Precheck } from "../../src/precheck.ts";
import { AgentOptions } from "../../src/snapshot/agent-options.ts";
import { createSnapshots } from "../../src/snapshot/agents.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { json, Opened, snapshotOf } from "../agent-faults/rig.ts";
import { row } from "../faults/rows.ts";
import { recordingLog } from "../support/log.ts";

const HOSTS = ["cmp-01", "cmp-02", "test_compute0", "test_compute1"];
const PAIRS = HOSTS.flatMap((source) =>
	HOSTS.filter((host) => host !== source).map((target) => [source, target] as const),
);

/** What came with a version; an agent before it does not have it. */
const ADDED: readonly (readonly [version: string, ofHost: readonly string[], ofDevice: readonly string[]])[] = [
	["1.1", [], ["path", "sources", "facts"]],
	["1.2", ["instances"], []],
	["1.3", [], ["unreadable_facts", "fact_sources", "alias", "guest_address"]],
];

interface Versioned {
	readonly schema_version: string;
}

/** What an agent of another version would serve of the same host. */
function asOf(version: string): (snapshot: Snapshot) => Versioned {
	const later = ADDED.filter(([added]) => added > version);
	const without = (value: object, names: readonly string[]) =>
		Object.fromEntries(Object.entries(value).filter(([name]) => !names.includes(name)));
	const [ofHost, ofDevice] = [later.flatMap(([, names]) => names), later.flatMap(([, , names]) => names)];
	return ({ devices, ...rest }) => ({
		...without(rest, ofHost),
		schema_version: version,
		devices: devices.map((device) => without(device, ofDevice)),
	});
}

const VERSIONS: Readonly<Record<string, (snapshot: Snapshot) => Versioned>> = {
	"1.0": asOf("1.0"),
	"1.1": asOf("1.1"),
	"1.2": asOf("1.2"),
	"1.3": asOf("1.3"),
	"1.9": (snapshot) => ({
		...snapshot,
		schema_version: "1.9",
		topology: { sockets: 2 },
		devices: [
			...snapshot.devices.map((device) => ({ ...device, power: { state: "D0" } })),
			{ id: "mem0", kind: "cxl_mem", capacity: 1, attributes: {}, unreadable: {} },
		],
	}),
};

const opened = new Opened();
afterEach(() => opened.close());

/** One of 1.0 reads its host for each answer, and says no age. */
function agentOf(body: Versioned): RequestListener {
	const text = JSON.stringify(body);
	if (body.schema_version !== "1.0") return json(text);
	return (_request, response) => response.writeHead(200, { "Content-Type": "application/json" }).end(text);
}

/** The service's pre-check, with an agent of its own version for each host. */
async function precheckOf(bodyOf: (host: string) => Versioned): Promise<Precheck> {
	const agents: Record<string, string> = {};
	for (const host of HOSTS) agents[host] = await opened.agent(agentOf(bodyOf(host)));
	const snapshots = createSnapshots(AgentOptions.parse({ agents }), recordingLog().log);
	return createPrecheck(snapshots, () => DEFAULT_POLICY);
}

async function decide(precheck: Precheck, source: string, target: string) {
	const { signal } = new AbortController();
	const instance_uuid = "0002587c-b09d-468a-9995-53d16eeb8a15";
	const devices = snapshotOf(source).devices.map(({ id }) => id);
	const announced = { count: 0, names: "", complete: false };
	const request = { instance_uuid, source_host: source, dest_host: target, devices, ports: [], announced };
	const { verdict, allowed, mapping, reasons } = await precheck(request, { signal });
	return { verdict, allowed, mapping, codes: reasons.map(({ code, attribute }) => `${code} ${attribute}`) };
}

row(
	83,
	"agents of snapshot 1.0, 1.1, 1.2, 1.3 and a later one mixed",
	"100 % of the sample hosts decided alike",
	async (measure) => {
		const usual = await precheckOf(snapshotOf);
		const expected = new Map<string, unknown>();
		for (const [source, target] of PAIRS) expected.set(`${source} ${target}`, await decide(usual, source, target));
		let alike = 0;
		const other: string[] = [];
		for (const [ofSource, sourceBody] of Object.entries(VERSIONS)) {
			for (const [ofTarget, targetBody] of Object.entries(VERSIONS)) {
				for (const [source, target] of PAIRS) {
					const body = (host: string) => (host === source ? sourceBody : targetBody)(snapshotOf(host));
					const decision = await decide(await precheckOf(body), source, target);
					const isAlike = JSON.stringify(decision) === JSON.stringify(expected.get(`${source} ${target}`));
					if (isAlike) alike++;
					else other.push(`${source} ${ofSource} -> ${target} ${ofTarget}`);
					await opened.close();
				}
			}
		}
		measure(`${alike} of ${Object.keys(VERSIONS).length ** 2 * PAIRS.length} alike`);
		expect(new Set([...expected.values()].map((decision) => JSON.stringify(decision))).size).toBeGreaterThan(3);
		expect(other).toEqual([]);
	},
);

row(83, "an agent of snapshot 2.0", "agent.bad_reply, never accepted", async (measure) => {
	const precheck = await precheckOf((host) => ({ ...snapshotOf(host), schema_version: "2.0" }));
	const { verdict, allowed, codes } = await decide(precheck, "cmp-01", "cmp-02");
	measure(`${verdict}, ${codes[0]?.split(" ")[0]}`);
	expect({ verdict, allowed }).toEqual({ verdict: "unknown", allowed: false });
	expect(codes[0]).toMatch(/^agent\.bad_reply /);
});

/** What `novacompat snapshot` of older builds said of the sample hosts, by the version of its schema: those of 95a90a8 and b07d629. */
const OLDER = ["1.0", "1.1"] as const;
const olderSnapshot = (version: (typeof OLDER)[number], host: string): Snapshot =>
	JSON.parse(readFileSync(`${import.meta.dirname}/older-agents/${version}/${host}.json`, "utf8"));

/** Each device by itself: of several the one that cannot move decides for all. */
async function decideEach(precheck: Precheck, source: string, target: string) {
	const { signal } = new AbortController();
	const decided: { readonly allowed: boolean; readonly mapping: unknown }[] = [];
	for (const { id } of snapshotOf(source).devices) {
		const announced = { count: 0, names: "", complete: false };
		const names = { instance_uuid: "0002587c-b09d-468a-9995-53d16eeb8a15", source_host: source, dest_host: target };
		const { allowed, mapping } = await precheck({ ...names, devices: [id], ports: [], announced }, { signal });
		decided.push({ allowed, mapping });
	}
	return decided;
}

row(
	83,
	"snapshots that older builds took, mixed with today's",
	"1.1: 100 % decided alike; 1.0: nothing accepted but what is",
	async (measure) => {
		const usual = await precheckOf(snapshotOf);
		for (const version of OLDER) {
			let [alike, count, wronglyAccepted, accepted] = [0, 0, 0, 0];
			for (const [source, target] of PAIRS) {
				const expected = await decideEach(usual, source, target);
				for (const older of [[source], [target], [source, target]]) {
					const body = (host: string) => (older.includes(host) ? olderSnapshot(version, host) : snapshotOf(host));
					const decided = await decideEach(await precheckOf(body), source, target);
					count += decided.length;
					accepted += decided.filter(({ allowed }) => allowed).length;
					alike += decided.filter((one, index) => JSON.stringify(one) === JSON.stringify(expected[index])).length;
					wronglyAccepted += decided.filter(({ allowed }, index) => allowed && !expected[index]?.allowed).length;
				}
			}
			measure(`${version}: ${alike} of ${count} alike, ${wronglyAccepted} wrongly accepted`);
			expect(accepted).toBeGreaterThan(5);
			expect(wronglyAccepted).toBe(0);
			// An agent of 1.0 does not tell of the board of an mdev: beside a newer one it is refused.
			if (version !== "1.0") expect(alike).toBe(count);
		}
	},
);

/**
 * What services of older builds read: config/snapshot.schema.json of 3232c7e, 8571b5f and 78e0559, which a test compared with their
 * reader. That drops what it does not know (z.object), as Ajv does here.
 */
const READERS = ["1.0", "1.1", "1.2"] as const;

row(83, "today's snapshots, read by services of 1.0, 1.1 and 1.2", "100 % read", async (measure) => {
	const texts: string[] = [];
	for (const version of READERS) {
		const schema = JSON.parse(readFileSync(`${import.meta.dirname}/older-services/${version}.schema.json`, "utf8"));
		const reads = new Ajv2020({ strict: false, removeAdditional: true }).compile(schema);
		const read = HOSTS.filter((host) => reads(snapshotOf(host)));
		texts.push(`${version}: ${read.length} of ${HOSTS.length}`);
		expect(read).toEqual(HOSTS);
		expect(reads({ ...snapshotOf("cmp-01"), schema_version: "2.0" })).toBe(false);
	}
	measure(texts.join(", "));
	// Or there would be nothing that they do not know.
	const names = HOSTS.flatMap((host) => snapshotOf(host).devices.flatMap((device) => Object.keys(device)));
	expect(names).toEqual(expect.arrayContaining(["alias", "guest_address", "path"]));
});
