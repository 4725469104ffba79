import { describe, expect, test } from "vitest";
import { inForce } from "../src/compat/override.ts";
import { DEFAULT_POLICY, type Override, type Policy } from "../src/compat/policy.ts";
import { createPlacementCheck } from "../src/placement.ts";
import { createPrecheck } from "../src/precheck.ts";
import { createRanking } from "../src/ranking.ts";
import { readSnapshot } from "../src/snapshot/read-snapshot.ts";
import type { SnapshotSource } from "../src/snapshot/source.ts";
import { pci } from "./support/devices.ts";

const PLAIN = "0002587c-b09d-468a-9995-53d16eeb8a15";
const MODERN = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";
const VERSION = { interface_version: "2.0.3", interface_version_compatible: "2.0.2-" };

/** Has all that would make it fit. */
const modern = (id: string, kind: string) => ({ ...pci(id, VERSION), kind, weight: 7 });

/** What agents of a version to come say, as this one reads it. */
function hosts(kind: string, ofTarget: readonly object[] = [pci("0000:82:00.1", VERSION), modern("mem1", kind)]) {
	const devices = {
		a: [
			{ ...pci("0000:3b:10.0", VERSION), instance: PLAIN },
			{ ...modern("mem0", kind), instance: MODERN },
		],
		b: ofTarget,
	};
	const source: SnapshotSource = {
		async fetch(host) {
			const told = { schema_version: "1.9", host, devices: devices[host as "a" | "b"] };
			return readSnapshot(Buffer.from(JSON.stringify(told)));
		},
	};
	return source;
}

const options = { signal: new AbortController().signal };
const announced = { count: 0, names: "", complete: false };
const ask = (instance_uuid: string, snapshots: SnapshotSource, policy: Policy = DEFAULT_POLICY, devices?: string[]) =>
	createPrecheck(snapshots, () => policy)(
		{ instance_uuid, source_host: "a", dest_host: "b", devices, ports: [], announced },
		options,
	);

const codesOf = ({ reasons }: Awaited<ReturnType<typeof ask>>) => reasons.map(({ code }) => code);

/** `constructor`: every object has one. */
describe.each(["cxl_mem", "constructor"])("a device of a kind that only newer agents know: %s", (kind) => {
	test("says nothing against other devices of its host", async () => {
		expect(await ask(PLAIN, hosts(kind))).toMatchObject({
			verdict: "accept",
			mapping: { "0000:3b:10.0": "0000:82:00.1" },
		});
	});

	test("leaves the instance that has it unknown, whatever the policy says", async () => {
		const decision = await ask(MODERN, hosts(kind));
		expect([decision.verdict, decision.allowed, codesOf(decision)]).toEqual(["unknown", false, ["agent.bad_reply"]]);
		expect(decision.reasons[0]).toMatchObject({
			device: "mem0",
			message: `a mem0 is "${kind}", a kind of device that novacompat does not know in this version`,
		});
		const override: Override = {
			author: "jane",
			reason: "they say so",
			created: "2026-08-21T10:00:00Z",
			expires: "2026-08-21T20:00:00Z",
			scope: { source_host: "a" },
		};
		const lenient: Policy = { ...DEFAULT_POLICY, unknown: { "*": "accept" }, overrides: [override] };
		const allowed = (await ask(MODERN, hosts(kind), inForce(lenient, Date.parse("2026-08-21T12:00:00Z")))).allowed;
		expect(allowed).toBe(false);
	});

	test("is unknown where it is named, and in a ranking", async () => {
		expect(await ask(PLAIN, hosts(kind), DEFAULT_POLICY, ["mem0"])).toMatchObject({ verdict: "unknown" });
		const rank = createRanking(hosts(kind), () => DEFAULT_POLICY);
		const departure = { source_host: "a", dest_hosts: ["b"], ports: [], announced };
		expect(await rank({ ...departure, instance_uuid: MODERN }, options)).toMatchObject({ verdicts: { unknown: 1 } });
		expect(await rank({ ...departure, instance_uuid: PLAIN }, options)).toMatchObject({ verdicts: { accept: 1 } });
	});

	test("is nothing to land on", async () => {
		const decision = await ask(PLAIN, hosts(kind, [modern("mem1", kind)]));
		expect([decision.verdict, codesOf(decision)]).toEqual(["reject", ["candidate.none"]]);
	});

	test("is unknown where Nova has chosen it", async () => {
		const check = createPlacementCheck(hosts(kind), () => DEFAULT_POLICY);
		for (const mapping of [{ mem0: "mem1" }, { mem0: "0000:82:00.1" }, { "0000:3b:10.0": "mem1" }]) {
			const decision = await check({ source_host: "a", dest_host: "b", mapping }, options);
			expect([decision.verdict, decision.allowed]).toEqual(["unknown", false]);
		}
	});
});
