import { setTimeout } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Attempt } from "../src/attempt.ts";
import { DEFAULT_POLICY, type Policy } from "../src/compat/policy.ts";
import type { Departure } from "../src/departure.ts";
import { createPrecheck } from "../src/precheck.ts";
import { createRanking } from "../src/ranking.ts";
import { SnapshotError } from "../src/snapshot/source.ts";
import { answering, REQUEST, snapshot, WAYS } from "./support/checks.ts";
import { mdev } from "./support/devices.ts";
import { held } from "./support/garbage.ts";

const { dest_host: _, ...DEPARTURE } = REQUEST;
const OPTIONS = { signal: new AbortController().signal, request_id: "r" };
const PORT = {
	id: "b4cd0b93-2ac8-40a7-9fa4-2cd680ccdf3e",
	vnic_type: "direct",
	address: "0000:83:06.1",
	isReplugged: true,
};
const PORTS_ONLY: Departure = { ...DEPARTURE, ports: [PORT], announced: { count: 0, names: "", complete: true } };

describe("of each host a ranking says what a check of it alone says", () => {
	const source = snapshot("cmp-01", "1.1.0");
	const ofPort = { ...mdev("0000:83:06.1", {}), instance: REQUEST.instance_uuid, port: true as const };
	const unknown = new SnapshotError("agent.timeout", "no answer");
	/** name, departure, what the source says, what the policy changes */
	const CASES: readonly (readonly [string, Departure, Attempt, Partial<Policy>])[] = [
		["a device", DEPARTURE, source, {}],
		["a device and a port that Nova names", { ...DEPARTURE, ports: [PORT] }, source, {}],
		["a device and a port that the agent names", DEPARTURE, { ...source, devices: [...source.devices, ofPort] }, {}],
		["a source that cannot be asked", DEPARTURE, unknown, {}],
		["fewer devices than Nova knows of", DEPARTURE, { ...source, devices: [] }, {}],
		["old snapshots, if the policy takes them", DEPARTURE, source, WAYS["an old snapshot"]?.policy ?? {}],
		["nothing but ports", PORTS_ONLY, source, {}],
	];
	const TARGETS = {
		takes: snapshot("takes", "1.1.0", 7),
		refuses: snapshot("refuses", "1.0.0"),
		silent: unknown,
		old: new SnapshotError("agent.timeout", "no answer", { stale: { snapshot: snapshot("old", "1.1.0"), age: 12 } }),
	};

	test.each(CASES)("%s", async (_name, departure, attempt, changes) => {
		const snapshots = answering({ "cmp-01": attempt, ...TARGETS });
		const policy = () => ({ ...DEFAULT_POLICY, ...changes });
		const { hosts } = await createRanking(snapshots, policy)(
			{ ...departure, dest_hosts: Object.keys(TARGETS) },
			OPTIONS,
		);
		expect(hosts).toHaveLength(4);
		for (const { host, bugfix, free_capacity, ...decision } of hosts) {
			const alone = await createPrecheck(snapshots, policy)({ ...departure, dest_host: host }, OPTIONS);
			expect(decision).toEqual(alone);
		}
	});

	test("with its ports and of which generation the snapshots are", async () => {
		const ranking = createRanking(answering({ "cmp-01": source, ...TARGETS }), () => DEFAULT_POLICY);
		const { hosts } = await ranking({ ...DEPARTURE, ports: [PORT], dest_hosts: ["takes"] }, OPTIONS);
		expect(hosts).toMatchObject([
			{
				verdict: "accept",
				reasons: [{ code: "port.replugged" }],
				snapshots: { "cmp-01": {}, takes: { generation: 7 } },
			},
		]);
	});

	test("nothing but ports: no agent is asked", async () => {
		const nobody = { fetch: () => Promise.reject(new Error("asked")) };
		const { verdicts, hosts } = await createRanking(nobody, () => DEFAULT_POLICY)(
			{ ...PORTS_ONLY, dest_hosts: ["a", "b"] },
			OPTIONS,
		);
		expect(verdicts).toEqual({ accept: 2 });
		expect(hosts[0]?.reasons.map(({ code }) => code)).toEqual(["device.none", "port.replugged"]);
	});

	test("while it waits for one agent, the whole snapshots of others can go", async () => {
		const whole: WeakRef<object>[] = [];
		let left = -1;
		const fetch = async (host: string) => {
			const one = snapshot(host, "1.1.0");
			if (host === "late") {
				await setTimeout(1);
				left = held(whole);
			} else if (host !== DEPARTURE.source_host) whole.push(new WeakRef(one));
			return one;
		};
		const ranking = createRanking({ fetch }, () => DEFAULT_POLICY);
		const { verdicts } = await ranking({ ...DEPARTURE, dest_hosts: ["a", "b", "late"] }, OPTIONS);
		expect(verdicts).toEqual({ accept: 3 });
		expect(left).toBe(0);
	});
});
