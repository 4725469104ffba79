import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { AgentOptions } from "../../src/snapshot/agent-options.ts";
import { createSnapshots } from "../../src/snapshot/agents.ts";
import type { Snapshot, SnapshotDevice } from "../../src/snapshot/snapshot.ts";
import { recordingLog } from "../support/log.ts";

const DEVICE: SnapshotDevice = { id: "0000:3b:10.0", kind: "pci", capacity: 1, attributes: {}, unreadable: {} };
const snapshotOf = (...devices: readonly SnapshotDevice[]): Snapshot => ({
	schema_version: "1.2",
	host: "cmp-01",
	devices: [...devices],
});
const many = (count: number) => snapshotOf(...Array.from({ length: count }, () => DEVICE));
const withText = (fields: Partial<SnapshotDevice>) => snapshotOf({ ...DEVICE, ...fields });
/** Attributes with names of their own. */
const own = (device: number, count: number) =>
	Object.fromEntries(Array.from({ length: count }, (_, index) => [`${device}.${index}`, ""]));
const OPTIONS = { signal: new AbortController().signal };

/** The service's side, and an agent that says first the one and then the other. */
async function serviceWith(...answers: readonly Snapshot[]) {
	let asked = 0;
	const server = createServer((_request, response) => {
		const body = JSON.stringify(answers[Math.min(asked++, answers.length - 1)]);
		const headers = { "Content-Type": "application/json", "Collected-Age-Ms": "0", Connection: "close" };
		response.writeHead(200, headers).end(body);
	});
	onTestFinished(() => void server.close());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
	const address = server.address();
	if (!(address instanceof Object)) throw new Error("no port");
	const agents = { "cmp-01": `http://127.0.0.1:${address.port}` };
	return createSnapshots(AgentOptions.parse({ agents, snapshot_max_age: 0 }), recordingLog().log);
}

describe("SEC-24: what is too large is refused before it is kept, and takes what was kept with it", () => {
	const rows: readonly [what: string, snapshot: Snapshot, where: string][] = [
		["8,193 devices", many(8193), "devices: "],
		["an attribute of 4,097 characters", withText({ attributes: { a: "x".repeat(4097) } }), "devices.0.attributes.a: "],
		["an id of 257", withText({ id: "x".repeat(257) }), "devices.0.id: "],
		["the name of an attribute of 257", withText({ attributes: { ["x".repeat(257)]: "1" } }), "devices.0.attributes"],
		["513 attributes", withText({ attributes: own(0, 513) }), "devices.0.attributes: "],
		["a name that is none", withText({ attributes: JSON.parse('{"__proto__":"1"}') }), "devices.0.attributes: "],
		["an attribute that is a number", withText({ attributes: { a: 1 as never } }), "devices.0.attributes.a: "],
		["attributes that are a list", withText({ attributes: ["a"] as never }), "devices.0.attributes: "],
		["no attributes", withText({ attributes: undefined as never }), "devices.0.attributes: "],
		["a source of 1,025", withText({ sources: { a: "x".repeat(1025) } }), "devices.0.sources.a: "],
		["a fact of 1,025", withText({ facts: { a: "x".repeat(1025) } }), "devices.0.facts.a: "],
		["a path of 1,025", withText({ path: "x".repeat(1025) }), "devices.0.path: "],
		[
			"8,193 instances",
			{ ...many(0), instances: Array(8193).fill("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001") },
			"instances: ",
		],
	];
	test.each(rows)("%s", async (_what, snapshot, where) => {
		const service = await serviceWith(snapshotOf(DEVICE), snapshot);
		expect((await service.fetch("cmp-01", OPTIONS)).devices).toEqual([DEVICE]);
		expect(service.state().kept).toBe(1);
		await expect(service.fetch("cmp-01", OPTIONS)).rejects.toMatchObject({
			code: "agent.bad_reply",
			message: expect.stringContaining(`no snapshot: ${where}`),
		});
		expect(service.state()).toMatchObject({ kept: 0, bytes: 0 });
		expect(service.hosts()).toMatchObject([{ host: "cmp-01", failure: { code: "agent.bad_reply" } }]);
		expect(service.hosts()[0]).not.toHaveProperty("snapshot");
	});

	/** 8 MB of them kept the service busy for eleven seconds. */
	test.each([
		["one device with 30,000", [own(0, 30_000)]],
		["300 devices with 100 of their own", Array.from({ length: 300 }, (_, device) => own(device, 100))],
	])("names of attributes before they are parsed: %s", async (_what, attributes) => {
		const service = await serviceWith(snapshotOf(...attributes.map((one) => ({ ...DEVICE, attributes: one }))));
		await expect(service.fetch("cmp-01", OPTIONS)).rejects.toMatchObject({
			code: "agent.bad_reply",
			message: expect.stringContaining("more than 20000 different sequences of names"),
		});
	});

	test("what is as large as allowed is kept", async () => {
		const text = "x".repeat(4096);
		const largest = { ...many(8191), devices: [...many(8191).devices, { ...DEVICE, attributes: { a: text } }] };
		const service = await serviceWith(largest);
		const { devices } = await service.fetch("cmp-01", OPTIONS);
		expect(devices).toHaveLength(8192);
		expect(devices.at(-1)?.attributes["a"]).toBe(text);
		expect(service.state().kept).toBe(1);
	});

	test("so is JSON in an attribute, as formats B and C have it: 4,096 VFs with 47 objects and lists each", async () => {
		const migration_version = JSON.stringify(Array(23).fill({ vendor: "a", version: {} }));
		const device = { ...DEVICE, attributes: { migration_version } };
		const service = await serviceWith(snapshotOf(...Array(4096).fill(device)));
		const { devices } = await service.fetch("cmp-01", OPTIONS);
		expect(devices).toHaveLength(4096);
		expect(devices.at(-1)).toEqual(device);
	});
});
