import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY } from "../src/compat/policy.ts";
import { createPlacementCheck } from "../src/placement.ts";
import type { Snapshot } from "../src/snapshot/snapshot.ts";
import { SnapshotError, type SnapshotSource } from "../src/snapshot/source.ts";
import { mdev, pci } from "./support/devices.ts";

/** Two devices that need what they accept, with interface versions. */
const version = (interface_version: string) => ({ interface_version, interface_version_compatible: "2.0.2-" });
const SOURCE = [
	pci("0000:3b:10.0", version("2.0.3"), { instance: "0002587c-b09d-468a-9995-53d16eeb8a15" } as object),
	pci("0000:3b:10.2", version("2.0.1")),
	mdev("11111111-b09d-468a-9995-53d16eeb8a15", version("2.0.3")),
];
const TARGET = [
	// Nova has claimed it, and the instance has arrived.
	pci("0000:82:00.1", version("2.1.0"), { instance: "0002587c-b09d-468a-9995-53d16eeb8a15" } as object),
	pci("0000:82:00.2", { interface_version: "2.1.0", interface_version_compatible: "2.0.0-" }),
	mdev("22222222-b09d-468a-9995-53d16eeb8a15", version("2.1.0")),
];

function check(mapping: Readonly<Record<string, string>>, silent = "") {
	const hosts = new Map([
		["a", SOURCE],
		["b", TARGET],
	]);
	const snapshots: SnapshotSource = {
		async fetch(host) {
			if (host === silent) throw new SnapshotError("agent.timeout", `${host} is silent`);
			return { schema_version: "1.0", host, devices: hosts.get(host) ?? [] } as unknown as Snapshot;
		},
	};
	const options = { signal: new AbortController().signal };
	return createPlacementCheck(snapshots, () => DEFAULT_POLICY)({ source_host: "a", dest_host: "b", mapping }, options);
}

describe("the devices that Nova has chosen, each with the one that it becomes", () => {
	/** mapping, verdict, codes of the errors */
	const ROWS: readonly (readonly [Readonly<Record<string, string>>, string, readonly string[]])[] = [
		[{ "0000:3b:10.0": "0000:82:00.1" }, "accept", []],
		// It would fit 0000:82:00.2, but that is not what Nova has chosen.
		[{ "0000:3b:10.2": "0000:82:00.1" }, "reject", ["version.not_in_range"]],
		[{ "0000:3b:10.2": "0000:82:00.2" }, "accept", []],
		[{ "0000:3b:10.0": "0000:82:00.2", "0000:3b:10.2": "0000:82:00.1" }, "reject", ["version.not_in_range"]],
		[{ "0000:3b:10.0": "0000:82:00.1", "0000:3b:10.2": "0000:82:00.2" }, "accept", []],
		[{ "11111111-b09d-468a-9995-53d16eeb8a15": "22222222-b09d-468a-9995-53d16eeb8a15" }, "accept", []],
		[{ "11111111-b09d-468a-9995-53d16eeb8a15": "0000:82:00.2" }, "reject", ["candidate.none"]],
		[{ "0000:3b:10.0": "0000:99:00.0" }, "unknown", ["device.not_found"]],
		[{ "0000:99:00.0": "0000:82:00.1" }, "unknown", ["device.not_found"]],
		[{ "0000:3b:10.2": "0000:82:00.1", "0000:99:00.0": "x" }, "reject", ["version.not_in_range", "device.not_found"]],
	];
	test.each(ROWS)("%j: %s", async (mapping, verdict, codes) => {
		const decision = await check(mapping);
		const errors = decision.reasons.filter(({ severity }) => severity === "error");
		expect([decision.verdict, errors.map(({ code }) => code)]).toEqual([verdict, codes]);
		expect(decision.mapping).toEqual(mapping);
	});

	test("two that become one", async () => {
		const mapping = { "0000:3b:10.0": "0000:82:00.2", "0000:3b:10.2": "0000:82:00.2" };
		const message = "Nova has chosen b 0000:82:00.2 for 2 devices (0000:3b:10.0, 0000:3b:10.2)";
		expect(await check(mapping)).toMatchObject({
			verdict: "reject",
			allowed: false,
			mapping,
			reasons: [{ code: "capacity.exhausted", message, candidate: "0000:82:00.2" }],
		});
	});

	test("a host that has not what Nova has chosen is named", async () => {
		const { reasons } = await check({ "0000:3b:10.0": "0000:99:00.0" });
		expect(reasons[0]?.message).toBe('b has no device "0000:99:00.0", which Nova has chosen');
	});

	test.each(["a", "b"])("the agent of %s does not answer: unknown", async (silent) => {
		expect(await check({ "0000:3b:10.0": "0000:82:00.1" }, silent)).toMatchObject({
			verdict: "unknown",
			reasons: [{ code: "agent.timeout" }],
		});
	});
});
