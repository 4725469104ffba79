import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Checked } from "../../src/attempt.ts";
import type { Decision } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { PING_ENDPOINT } from "../../src/messaging/endpoint.ts";
import type { RemoteError } from "../../src/messaging/errors.ts";
import { sealEnvelope } from "../../src/messaging/message.ts";
import { ANSWERED_METHODS, novaEndpoints } from "../../src/nova/methods.ts";
import { recordingLog } from "../support/log.ts";
import { startService } from "../support/service.ts";

const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";
const OURS = { exchange: "nova", topic: "migration_compat", version: "1.0" };
const NOVAS = { exchange: "nova", topic: "migration_compat", server: "novacompat-test", version: "6.0" };

let rig: Awaited<ReturnType<typeof startService>>;
beforeAll(async () => {
	rig = await startService(["test_compute0", "test_compute1", "cmp-01", "cmp-02"], {
		stand_in_hosts: ["test_compute1"],
	});
});
afterAll(() => rig.stop());

const failure = (error: RemoteError) => error;
const call = (method: string, args: Record<string, unknown>, target: typeof OURS | typeof NOVAS = OURS) =>
	rig.client.call(target, method, args, { timeout: 5 }).catch(failure);

const object = (name: string, version: string, data: unknown) => ({
	"nova_object.name": name,
	"nova_object.namespace": "nova",
	"nova_object.version": version,
	"nova_object.data": data,
	"nova_object.changes": [],
});
const instance = (data: Record<string, unknown> = {}, version = "2.7") =>
	object("Instance", version, {
		uuid: UUID,
		host: "test_compute0",
		flavor: null,
		pci_requests: null,
		info_cache: null,
		...data,
	});
const migration = (dest_compute: string | null, version = "1.7") => object("Migration", version, { dest_compute });
const pciRequests = (...requests: unknown[]) =>
	object("InstancePCIRequests", "1.1", { requests: requests.map((data) => object("InstancePCIRequest", "1.4", data)) });

/** Of the snapshot of an agent that has scanned a host which does not change. */
const VERSION = { boot_id: expect.stringMatching(/^[0-9a-f-]{36}$/), generation: expect.any(Number) };

describe("check_live_migration", () => {
	const request = { instance_uuid: UUID, source_host: "test_compute0", dest_host: "test_compute1" };

	test("returns the decision, without the comparisons", async () => {
		expect(await call("check_live_migration", { request })).toEqual({
			id: expect.stringMatching(/^[0-9a-f]{12}$/),
			verdict: "accept",
			allowed: true,
			mapping: { "0000:3b:10.0": "0000:3b:10.0" },
			reasons: [],
			text: expect.stringMatching(/^accept \[[0-9a-f]{12}\]$/),
			snapshots: { test_compute0: VERSION, test_compute1: VERSION },
		});
	});

	test("the same question has the same id, in the reply, the text and the log", async () => {
		const [first, second] = [
			await call("check_live_migration", { request }),
			await call("check_live_migration", { request }),
		];
		expect(second).toEqual(first);
		expect(rig.lines.at(-1)).toContain(`accept [${(first as Decision).id}]; 0000:3b:10.0 -> 0000:3b:10.0`);
		const refused = (await call("check_live_migration", {
			request: { ...request, devices: ["0000:3b:10.2"] },
		})) as Decision;
		expect(refused.id).not.toBe((first as Decision).id);
		expect(refused.text).toContain("software_version 1.3.0 needs at least 1.3");
		expect(refused.text.endsWith(` [${refused.id}]`)).toBe(true);
	});

	test("the log line for programs says what it took and how old the snapshots were", async () => {
		const service = await startService(["test_compute0", "test_compute1"], { use_json: true, snapshot_max_age: 60 });
		onTestFinished(() => service.stop());
		const started = performance.now();
		const extras = async (dest_host: string) => {
			const before = service.lines.length;
			await service.client.call(OURS, "check_live_migration", { request: { ...request, dest_host } }, { timeout: 5 });
			return service.lines.slice(before).map((line) => JSON.parse(line).extra);
		};
		const sinceStart = () => (performance.now() - started) / 1000;
		const atLeast = (seconds: number) =>
			expect.toSatisfy((age: number) => age >= seconds && age <= sinceStart() + 0.001);
		expect(await extras("test_compute1")).toContainEqual(
			expect.objectContaining({ verdict: "accept", duration_ms: expect.any(Number), snapshot_age_s: atLeast(0) }),
		);
		await sleep(1_000);
		expect(await extras("test_compute1")).toContainEqual(expect.objectContaining({ snapshot_age_s: atLeast(1) }));
		const lost = { ...request, source_host: "nowhere", dest_host: "elsewhere" };
		await service.client.call(OURS, "check_live_migration", { request: lost }, { timeout: 5 });
		const [last] = service.lines.slice(-1).map((line) => JSON.parse(line).extra);
		expect(last).toMatchObject({ verdict: "unknown" });
		expect(last).not.toHaveProperty("snapshot_age_s");
	});

	test("the agents' log lines have the ids of Nova's request", async () => {
		const service = await startService(["test_compute0", "test_compute1"]);
		onTestFinished(() => service.stop());
		const [request_id, global_request_id] = [
			"req-6a9c1d2e-3f40-4a5b-8c6d-7e8f90a1b2c3",
			"req-11f7afc4-8f0e-4b0e-9d3e-5d7a3c1a5f42",
		];
		const context = { request_id, global_request_id };
		await service.client.call(OURS, "check_live_migration", { request }, { timeout: 5, context });
		const lines = () => service.lines.filter((line) => line.includes('GET "/v1/snapshot" 200'));
		await expect.poll(() => lines().length).toBe(2);
		for (const line of lines()) expect(line).toContain(`[${global_request_id} ${request_id} - - - - - -] GET`);
	});

	/** Everything that is logged of a check whose message has the header, as a program reads it. */
	const traced = async (traceparent: string, method: string, args: Record<string, unknown>) => {
		const service = await startService(["test_compute0", "test_compute1"], { use_json: true });
		onTestFinished(() => service.stop());
		const body = sealEnvelope({ method, version: "1.1", args, _unique_id: "1" });
		const to = { kind: "topic", exchange: OURS.exchange, key: OURS.topic } as const;
		await service.transport.publish(to, body, { timeout: 5_000, traceparent });
		const lines = () => service.lines.map((line) => JSON.parse(line));
		await expect.poll(() => lines().filter(({ message }) => message.includes("/v1/snapshot")).length).toBe(2);
		await expect.poll(() => lines().filter(({ message }) => message.startsWith("live migration")).length).toBe(1);
		return lines();
	};

	test.each([
		["check_live_migration", { request }],
		["rank_destinations", { request: { ...request, dest_host: undefined, dest_hosts: ["test_compute1"] } }],
	])("%s in a trace: its line and those of the agents have the trace and one span of our own", async (method, args) => {
		const lines = await traced("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", method, args);
		const { extra } = lines.find(({ message }) => message.startsWith("live migration"));
		const { trace_id, span_id } = extra;
		expect(trace_id).toBe("4bf92f3577b34da6a3ce929d0e0e4736");
		expect(span_id).toMatch(/^(?!00f067aa0ba902b7)[0-9a-f]{16}$/);
		const asked = lines.filter(({ message }) => message.includes('GET "/v1/snapshot" 200'));
		expect(asked.map(({ extra }) => extra)).toEqual([extra, extra].map(() => ({ trace_id, span_id })));
	});

	test("a traceparent that is none leaves no trace anywhere", async () => {
		const forged = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\nERROR";
		const lines = await traced(forged, "check_live_migration", { request });
		expect(JSON.stringify(lines)).not.toMatch(/trace_id|span_id|4bf92f35|ERROR/);
	});

	test("devices may be named, inside the request or beside it", async () => {
		const reject = { verdict: "reject", allowed: false, mapping: {} };
		expect(await call("check_live_migration", { request: { ...request, devices: ["0000:3b:10.2"] } })).toMatchObject(
			reject,
		);
		expect(await call("check_live_migration", { request, devices: ["0000:3b:10.2"] })).toMatchObject(reject);
	});

	test("no device named is none left out: those of the instance count", async () => {
		const devices = { request: { ...request, devices: [] } };
		expect(await call("check_live_migration", devices)).toMatchObject({
			mapping: { "0000:3b:10.0": "0000:3b:10.0" },
		});
	});

	test("two mdevs of one instance compete for one free instance of a type", async () => {
		const decision = await call("check_live_migration", {
			request: { instance_uuid: await instanceOf("cmp-01", "nvidia-558"), source_host: "cmp-01", dest_host: "cmp-02" },
		});
		expect(decision).toMatchObject({ verdict: "reject", reasons: [{ code: "capacity.exhausted" }] });
	});

	/** what is wrong, request, code and a piece of the message */
	const UNKNOWN: readonly (readonly [string, Record<string, unknown>, string, RegExp])[] = [
		[
			"a host without agent",
			{ dest_host: "elsewhere" },
			"agent.unconfigured",
			/no agent is configured for host "elsewhere"/,
		],
		[
			"a device that is not there",
			{ devices: ["0000:ff:00.0"] },
			"device.not_found",
			/test_compute0 has no device "0000:ff:00.0"/,
		],
		[
			"more devices announced than the agent sees",
			{ flavor_extra_specs: { "resources:VGPU": "2" } },
			"device.unaccounted",
			/Nova knows of 2 devices .* \(resources:VGPU\), the agent of test_compute0 sees 1/,
		],
		[
			"more devices announced, in counts that are none",
			{ pci_requests: [Number.NaN, 2n ** 70n].map((count) => ({ alias_name: "gpu", count })) },
			"device.unaccounted",
			/Nova knows of 2 devices .* \(alias gpu, alias gpu\), the agent of test_compute0 sees 1/,
		],
	];
	test.each(UNKNOWN)("%s leaves the verdict unknown", async (_name, fields, code, message) => {
		const decision = await call("check_live_migration", { request: { ...request, ...fields } });
		expect(decision).toMatchObject({
			verdict: "unknown",
			allowed: false,
			reasons: [{ code, message: expect.stringMatching(message) }],
		});
	});

	test("P8: a number beyond 2^53 in the place of a name is shown as it is", async () => {
		expect(await call("check_live_migration", { request: { ...request, dest_host: 2n ** 70n } })).toMatchObject({
			value: "request.dest_host is 1180591620717411303424, expected a text of 1 to 255 characters",
		});
	});

	test("an instance without devices may go, although the destination has no agent", async () => {
		const plain = { ...request, instance_uuid: "510765c3-07cc-4895-9a08-a34642470854", dest_host: "elsewhere" };
		expect(await call("check_live_migration", { request: plain })).toMatchObject({
			verdict: "accept",
			reasons: [{ code: "device.none" }],
		});
	});

	test("an instance that does not run on the source, as far as its agent sees, is unknown", async () => {
		const elsewhere = { ...request, instance_uuid: "11111111-2222-3333-4444-555555555555" };
		expect(await call("check_live_migration", { request: elsewhere })).toMatchObject({
			verdict: "unknown",
			allowed: false,
			reasons: [{ code: "instance.not_found" }],
		});
	});

	test("a uuid in capitals is the same instance", async () => {
		const inCapitals = { ...request, instance_uuid: UUID.toUpperCase() };
		expect(await call("check_live_migration", { request: inCapitals })).toEqual(
			await call("check_live_migration", { request }),
		);
	});

	test("a device that is a Neutron port does not count, and is told", async () => {
		const vifs = [{ vnic_type: "direct-physical", profile: { pci_slot: "0000:3b:10.0" } }];
		expect(await call("check_live_migration", { request: { ...request, vifs } })).toMatchObject({
			reasons: [{ code: "device.none" }, { code: "port.replugged" }],
		});
	});

	test("nobody moves to where he is: a host is not compared with itself, of which half is in use", async () => {
		const failed = (await call("check_live_migration", {
			request: { ...request, dest_host: "test_compute0" },
		})) as RemoteError;
		expect(failed).toMatchObject({ excType: "ValueError" });
		expect(failed.value).toBe(
			'request.dest_host is "test_compute0", the host that the instance leaves: Nova refuses that itself (UnableToMigrateToSelf)',
		);
	});

	const NO_DEVICES = "request.devices is not a list of at most 1024 device ids";
	/** arguments, Python class and text of the failure */
	const MISTAKES: readonly (readonly [Record<string, unknown>, string, string])[] = [
		[{}, "TypeError", "check_live_migration() missing 1 required positional argument: 'request'"],
		[{ request, zz: 1 }, "TypeError", "check_live_migration() got an unexpected keyword argument 'zz'"],
		[{ request: null }, "ValueError", "request is null, expected an object"],
		[{ request: [request] }, "ValueError", "request is a list, expected an object"],
		[{ request: "{'instance_uuid': 1}" }, "ValueError", "request is a string, expected an object"],
		[{ request: {} }, "ValueError", "request.instance_uuid is missing, expected a text of 1 to 255 characters"],
		[
			{ request: { ...request, dest_host: 5 } },
			"ValueError",
			"request.dest_host is 5, expected a text of 1 to 255 characters",
		],
		[
			{ request: { ...request, dest_host: "" } },
			"ValueError",
			'request.dest_host is "", expected a text of 1 to 255 characters',
		],
		[
			{ request: { ...request, source_host: "x".repeat(256) } },
			"ValueError",
			`request.source_host is "${"x".repeat(63)}, expected a text of 1 to 255 characters`,
		],
		[{ request: { ...request, devices: "a" } }, "ValueError", NO_DEVICES],
		[{ request: { ...request, devices: [1] } }, "ValueError", NO_DEVICES],
		[{ request, devices: Array.from({ length: 1025 }, () => "0000:3b:10.0") }, "ValueError", NO_DEVICES],
		[
			{ request: { ...request, devices: ["0000:3b:10.0", "../../../etc/passwd"] } },
			"ValueError",
			'request.devices.1 is "../../../etc/passwd", expected a PCI address (0000:3b:10.2), the uuid of an mdev, ' +
				"the name of a vdpa device or <parent>/<mdev type>",
		],
	];
	test.each(MISTAKES)("%j", async (args, excType, value) => {
		expect(await call("check_live_migration", args)).toMatchObject({ excType, module: "builtins", value });
	});
});

describe("rank_destinations", () => {
	const request = {
		instance_uuid: UUID,
		source_host: "test_compute0",
		dest_hosts: ["elsewhere", "cmp-02", "test_compute1"],
	};
	const rank = (fields: Record<string, unknown> = {}) =>
		call("rank_destinations", { request: { ...request, ...fields } }, { ...OURS, version: "1.1" });
	const hosts = (reply: unknown) => (reply as { hosts: (Decision & { host: string })[] }).hosts;

	test("returns every host with its decision, the best first; one that cannot be asked is unknown", async () => {
		const reply = await rank();
		expect(hosts(reply)).toMatchObject([
			{
				host: "test_compute1",
				verdict: "accept",
				allowed: true,
				mapping: { "0000:3b:10.0": "0000:3b:10.0" },
				bugfix: 4,
				free_capacity: 1,
			},
			{ host: "elsewhere", verdict: "unknown", allowed: false, reasons: [{ code: "agent.unconfigured" }] },
			{ host: "cmp-02", verdict: "reject", allowed: false, mapping: {}, bugfix: null },
		]);
		expect(rig.lines.at(-1)).toContain(
			"live migration test_compute0 -> best of 3: 1 accept, 1 unknown, 1 reject; test_compute1 first: accept [",
		);
	});

	test("names no more hosts than the limit, and counts all", async () => {
		const reply = await rank({ limit: 1 });
		expect(reply).toMatchObject({ verdicts: { accept: 1, unknown: 1, reject: 1 }, hosts: [{ host: "test_compute1" }] });
		expect(hosts(reply)).toHaveLength(1);
		expect(rig.lines.at(-1)).toContain("best of 3: 1 accept, 1 unknown, 1 reject; test_compute1 first: accept [");
		expect(await rank({ limit: null })).toEqual(await rank());
	});

	test("the decision about a host is what check_live_migration says", async () => {
		const [best] = hosts(await rank());
		const { instance_uuid, source_host } = request;
		const dest_host = best?.host;
		const checked = await call("check_live_migration", { request: { instance_uuid, source_host, dest_host } });
		const decision = checked as Checked;
		expect(Object.keys(decision.snapshots ?? {})).toEqual([source_host, dest_host]);
		expect(best).toEqual({ host: dest_host, bugfix: 4, free_capacity: 1, ...decision });
	});

	test("what is wrong with the source is wrong for every host, in the same words as for one", async () => {
		const dest_hosts = ["test_compute1", "cmp-02", "cmp-02"];
		const failed = hosts(await rank({ source_host: "nowhere", dest_hosts }));
		expect(failed).toMatchObject(
			["cmp-02", "test_compute1"].map((host) => ({
				host,
				verdict: "unknown",
				reasons: [{ code: "agent.unconfigured" }],
			})),
		);
		const plain = hosts(await rank({ instance_uuid: "510765c3-07cc-4895-9a08-a34642470854" }));
		expect(plain.map(({ host, verdict }) => `${host} ${verdict}`)).toEqual([
			"cmp-02 accept",
			"elsewhere accept",
			"test_compute1 accept",
		]);
		expect(hosts(await rank({ devices: ["0000:ff:00.0"] }))).toMatchObject(
			[1, 2, 3].map(() => ({ reasons: [{ code: "device.not_found" }] })),
		);
		expect(await rank({ dest_hosts: [] })).toEqual({ verdicts: {}, hosts: [] });
	});

	test("it is of version 1.1", async () => {
		expect(await call("rank_destinations", { request }, { ...OURS, version: "1.2" })).toMatchObject({
			excType: "UnsupportedVersion",
		});
	});

	/** fields of the request, text of the ValueError */
	const MISTAKES: readonly (readonly [Record<string, unknown>, string])[] = [
		[{ dest_hosts: undefined }, "request.dest_hosts is not a list of at most 1024 host names"],
		[{ dest_hosts: "cmp-02" }, "request.dest_hosts is not a list of at most 1024 host names"],
		[{ dest_hosts: [""] }, "request.dest_hosts is not a list of at most 1024 host names"],
		[{ dest_hosts: Array(1025).fill("cmp-02") }, "request.dest_hosts is not a list of at most 1024 host names"],
		[{ source_host: null }, "request.source_host is null, expected a text of 1 to 255 characters"],
		[{ limit: 0 }, "request.limit is 0, expected a whole number of at least 1"],
		[{ limit: "5" }, 'request.limit is "5", expected a whole number of at least 1'],
	];
	test.each(MISTAKES)("%j", async (fields, value) => {
		expect(await rank(fields)).toMatchObject({ excType: "ValueError", module: "builtins", value });
	});

	test("a limit that JavaScript's own JSON has not is told as it is", async () => {
		for (const [limit, told] of [
			[10n ** 20n, "100000000000000000000"],
			[Number.POSITIVE_INFINITY, "Infinity"],
		] as const) {
			const value = `request.limit is ${told}, expected a whole number of at least 1`;
			expect(await rank({ limit })).toMatchObject({ excType: "ValueError", value });
		}
	});
});

describe("check_can_live_migrate_destination", () => {
	const check = (args: Record<string, unknown>, version = "6.0") =>
		call(
			"check_can_live_migrate_destination",
			{ block_migration: null, disk_over_commit: false, limits: null, ...args },
			{ ...NOVAS, version },
		);

	test("null when the migration may go on", async () => {
		expect(await check({ instance: instance(), migration: migration("test_compute1") })).toBeNull();
	});

	test.each(["5.0", "5.3", "6.0", "6.5", "6.99"])("Nova's version %s is understood", async (version) => {
		expect(await check({ instance: instance(), migration: migration("test_compute1") }, version)).toBeNull();
	});

	test("an argument that a later minor version adds is left aside, as what the check does not need", async () => {
		const args = { instance: instance(), migration: migration("test_compute1"), provider_mappings: { a: ["b"] } };
		expect(await check(args, "6.99")).toBeNull();
	});

	test.each(["compute", "compute-alt"])(
		"P32: on %s.<host> the routing key names the destination before the message does",
		async (topic) => {
			const target = { ...NOVAS, topic, server: "test_compute1" };
			expect(
				await call(
					"check_can_live_migrate_destination",
					{ instance: instance(), migration: migration("elsewhere") },
					target,
				),
			).toBeNull();
		},
	);

	test("a port that looks like a device in the domain is told apart by its binding profile", async () => {
		const network_info = JSON.stringify([{ vnic_type: "direct-physical", profile: { pci_slot: "0000:3B:10.0" } }]);
		const info_cache = object("InstanceInfoCache", "1.5", { network_info });
		await check({ instance: instance({ info_cache }), migration: migration("test_compute1") });
		expect(rig.lines.at(-1)).toContain("device.none");
	});

	test("an object whose version is no text is a mistake of the caller's, not ours", async () => {
		const odd = { ...instance(), "nova_object.version": { toString: 1, valueOf: 1 } };
		expect(await check({ instance: odd, migration: migration("test_compute1") })).toMatchObject({
			excType: "MigrationPreCheckError",
			value: expect.stringContaining("Instance has version an object, expected 2.x"),
		});
		expect(rig.lines.join("")).not.toContain("ERROR");
	});

	/** what is wrong, arguments, a piece of the text; each a MigrationPreCheckError, since any other would set the VM to ERROR */
	const REFUSED: readonly (readonly [string, Record<string, unknown>, string])[] = [
		[
			"no destination",
			{ instance: instance(), migration: migration(null) },
			"the destination is not named: the message did not arrive on compute.<host>, and migration.dest_compute is not set",
		],
		["no migration", { instance: instance(), migration: null }, "the destination is not named"],
		["no instance", { instance: null, migration: migration("test_compute1") }, "instance.uuid is missing"],
		[
			"an instance without host",
			{ instance: instance({ host: null }), migration: migration("test_compute1") },
			"instance.host is null",
		],
		[
			"an instance of major 3",
			{ instance: instance({}, "3.0"), migration: migration("test_compute1") },
			'Instance has version "3.0", expected 2.x',
		],
		[
			"a migration of major 2",
			{ instance: instance(), migration: migration("test_compute1", "2.0") },
			'Migration has version "2.0", expected 1.x',
		],
		[
			"broken network info",
			{ instance: instance({ info_cache: { network_info: "{" } }), migration: migration("test_compute1") },
			"instance.info_cache.network_info is not JSON",
		],
		[
			"a PCI device that the agent does not see",
			{
				instance: instance({
					uuid: "66d19c9b-a157-42ee-8b0f-90544f9de658",
					pci_requests: pciRequests({ alias_name: "vfs", count: 1 }),
				}),
				migration: migration("test_compute1"),
			},
			"Nova knows of 1 device that stays attached to instance 66d19c9b-a157-42ee-8b0f-90544f9de658 (alias vfs), the agent",
		],
	];
	test.each(REFUSED)("%s", async (_name, args, text) => {
		const error = await check(args);
		expect(error).toMatchObject({ excType: "MigrationPreCheckError", module: "nova.exception", kwargs: { code: 500 } });
		expect((error as RemoteError).value).toContain(`Migration pre-check error: ${text}`);
	});

	test("a mistake of ours is a refusal too, and the log says where in the code it is", async () => {
		const { log, lines } = recordingLog();
		const bug = async () => {
			throw new TypeError("a bug");
		};
		const methods = { precheck: bug, rankDestinations: bug, policy: () => DEFAULT_POLICY, log };
		const [, nova] = novaEndpoints(methods);
		const { handler } = nova?.methods.get("check_can_live_migrate_destination") ?? expect.fail("no such method");
		const target = { exchange: "nova", topic: "compute", server: "test_compute1" };
		const answer = handler({ instance: instance() }, { context: {}, target, signal: new AbortController().signal });
		await expect(answer).rejects.toMatchObject({
			excClass: "MigrationPreCheckError",
			message: "Migration pre-check error: the check failed, see the log of novacompat",
		});
		expect(lines.join("")).toMatch(/ ERROR .* check failed: TypeError: a bug\n.* ERROR .*methods\.test\.ts:\d+/);
		expect(lines.at(-1)).toContain(`[instance: ${UUID}] live migration test_compute0 -> test_compute1: unknown`);
	});

	test("PCI requests without alias are ports and announce nothing", async () => {
		const pci_requests = pciRequests({ alias_name: null, count: 3 }, { alias_name: "vfs", count: 1 });
		expect(await check({ instance: instance({ pci_requests }), migration: migration("test_compute1") })).toBeNull();
	});
});

describe("baseapi, which every service of Nova has", () => {
	const BASE = { ...OURS, namespace: "baseapi", version: "1.1" };

	test.each(["migration_compat", "compute"])("ping on the topic %s names the service", async (topic) => {
		const target = { ...BASE, topic, ...(topic === "compute" && { server: "test_compute1" }) };
		for (const arg of ["x", null, [1, { a: 2 }]]) {
			expect(await call("ping", { arg }, target)).toEqual({ service: topic, arg });
		}
		expect(await call("ping", { arg: "x" }, { ...target, version: "1.0" })).toEqual({ service: topic, arg: "x" });
	});

	test("get_backdoor_port: there is none", async () => {
		expect(await call("get_backdoor_port", {}, BASE)).toBeNull();
	});

	test("and nothing else", async () => {
		expect(await call("check_live_migration", {}, BASE)).toMatchObject({ excType: "NoSuchMethod" });
		expect(await call("ping", { arg: "x" })).toMatchObject({ excType: "NoSuchMethod" });
		expect(await call("ping", {}, BASE)).toMatchObject({ excType: "TypeError" });
	});
});

describe("other methods and versions", () => {
	const WRONG: readonly (readonly [string, string, string])[] = [
		["live_migration", "6.0", "NoSuchMethod"],
		["constructor", "1.0", "NoSuchMethod"],
		["__proto__", "1.0", "NoSuchMethod"],
		["_read", "1.0", "NoSuchMethod"],
		["check_live_migration", "1.2", "UnsupportedVersion"],
		["check_live_migration", "2.0", "UnsupportedVersion"],
		["check_live_migration", "6.0", "NoSuchMethod"],
	];
	test.each(WRONG)("%s %s is %s", async (method, version, excType) => {
		expect(await call(method, {}, { ...OURS, version })).toMatchObject({
			excType,
			module: "oslo_messaging.rpc.dispatcher",
		});
	});
});

/** The instance that uses the mdevs of a type on a sample host, from the agent itself. */
async function instanceOf(host: string, type: string): Promise<string> {
	const response = await fetch(`${rig.agents.get(host)?.url}/v1/snapshot`);
	const { devices } = (await response.json()) as {
		devices: { instance?: string; attributes: Record<string, string> }[];
	};
	return (
		devices.find(({ instance, attributes }) => instance !== undefined && attributes["mdev_type"] === type)?.instance ??
		""
	);
}

test("what a replay takes for ours is what can be called", () => {
	const never = () => new Promise<never>(() => undefined);
	const { log } = recordingLog();
	const endpoints = novaEndpoints({ precheck: never, rankDestinations: never, policy: () => DEFAULT_POLICY, log });
	const names = [...endpoints, PING_ENDPOINT].flatMap(({ methods }) => [...methods.keys()]);
	expect(new Set(names)).toEqual(ANSWERED_METHODS);
});
