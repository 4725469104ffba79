import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { newId, sealEnvelope } from "../../src/messaging/message.ts";
import { Shadow, type ShadowOptions } from "../../src/nova/shadow.ts";
import { createPlacementCheck } from "../../src/placement.ts";
import { createCheck, type MadeCheck } from "../../src/precheck.ts";
import { readRecording } from "../../src/recording/recording.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import type { SnapshotSource } from "../../src/snapshot/source.ts";
import { scripted } from "../messaging/serving.ts";
import { pci } from "../support/devices.ts";
import { recordingLog } from "../support/log.ts";

const recording = (path: string) => readRecording(readFileSync(`${import.meta.dirname}/../../${path}`, "utf8"));
const CHECK = recording(
	"config/samples/recordings/2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json",
);
const START = recording("test/recordings/2025.1.pci-alias-vfio-variant.live_migration.request.json");
const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
const REQUEST = "req-911e0134-b401-4a4e-87df-6ba642de20d6";

type Fields = Record<string, unknown>;

/** The recorded pre-check, for another destination, instance or request if need be. */
const check = (dest = "test_compute1", changes: Fields = {}, traceparent?: string) =>
	scripted(sealEnvelope({ ...CHECK.message, ...changes }).toString(), { routingKey: `compute.${dest}`, traceparent });

/** The recorded cast, with what Nova has chosen. */
const start = (
	dest = "test_compute1",
	mapping: Fields = { "0000:81:00.1": "0000:82:00.1" },
	field = "pci_dev_map_src_dst",
	changes: Fields = {},
) => {
	const args = START.message["args"] as Fields;
	const data = args["migrate_data"] as Fields;
	const migrate_data = { ...data, "nova_object.data": { [field]: mapping } };
	const fields = { ...START.message, args: { ...args, dest, migrate_data }, _unique_id: newId(), ...changes };
	return scripted(sealEnvelope(fields).toString(), { routingKey: "compute.test_compute0" });
};

/** A shadow beside hosts in memory: the source has one device, what the targets have a test may change. */
function watch(options: Partial<ShadowOptions> = {}) {
	const version = (interface_version: string) => ({ interface_version, interface_version_compatible: "2.0.2-" });
	const used = { ...pci("0000:81:00.1", version("2.0.3")), instance: INSTANCE };
	const hosts = new Map<string, Snapshot["devices"]>([
		["test_compute0", [used]],
		["test_compute1", [pci("0000:82:00.1", version("2.1.0"))]],
		["test_compute2", [pci("0000:82:00.1", { ...version("3.0.0"), interface_version_compatible: "3.0.0-" })]],
	]);
	const snapshots: SnapshotSource = {
		fetch: async (host) => ({ schema_version: "1.0", host, devices: hosts.get(host) ?? [] }),
	};
	const { log, lines } = recordingLog();
	const witnessed: MadeCheck[] = [];
	const shadow = new Shadow({
		cell: "cell1",
		check: createCheck(snapshots, () => DEFAULT_POLICY),
		checkPlacement: createPlacementCheck(snapshots, () => DEFAULT_POLICY),
		witness: (made) => witnessed.push(made),
		log,
		isListening: () => true,
		maxCheckTime: 5,
		...options,
	});
	onTestFinished(() => shadow.stop());
	const take = (...messages: readonly ReturnType<typeof scripted>[]) =>
		Promise.all(messages.map(({ delivery }) => shadow.take(delivery)));
	const told = async (count: number) => {
		await expect.poll(() => lines.length).toBe(count);
		return lines.map((line) => line.replace(/^.*?\] (?=\[instance|shadow)/, "").trim());
	};
	return { shadow, hosts, lines, witnessed, take, told };
}

describe("one line for each destination that Nova asks", () => {
	test("we accept, Nova accepts, and what it has chosen fits", async () => {
		const { take, told, shadow } = watch();
		await take(check());
		await take(start());
		expect(await told(1)).toEqual([
			expect.stringMatching(
				/^\[instance: 0002587c-.*\] shadow cell1: live migration test_compute0 -> test_compute1: would accept, Nova accepted; accept \[\w{12}\]; 0000:81:00.1 -> 0000:82:00.1; with the devices that Nova chose: accept \[\w{12}\]; 0000:81:00.1 -> 0000:82:00.1$/,
			),
		]);
		expect(shadow.agreement.samples()).toEqual([
			{ verdict: "accept", allowed: true, outcome: "accepted", exact: false, count: 1 },
			{ verdict: "accept", allowed: true, outcome: "accepted", exact: true, count: 1 },
		]);
	});

	test("its line joins Nova's by request id and instance, at INFO", async () => {
		const { take, lines, told } = watch();
		await take(check(), start());
		await told(1);
		expect(lines[0]).toMatch(new RegExp(` INFO .* ${REQUEST} .*\\[instance: ${INSTANCE}\\]`));
	});

	test("its questions to agents are in the trace of Nova's message", async () => {
		const { take, witnessed, told } = watch();
		await take(check("test_compute1", {}, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), start());
		await told(1);
		const traceparent = expect.stringMatching(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/);
		expect(witnessed).toMatchObject([{ options: { request_id: REQUEST, traceparent } }]);
	});

	test("we reject, Nova accepts: the reason is told", async () => {
		const { take, told, shadow } = watch();
		await take(check("test_compute2"), start("test_compute2"));
		const [line] = await told(1);
		expect(line).toMatch(/would reject, Nova accepted; reject \[\w+\]; version.not_in_range: .*accepts 3\.0\.0-/);
		expect(line).toMatch(
			/with the devices that Nova chose: reject \[\w+\]; 0000:81:00.1 -> 0000:82:00.1; version\.not/,
		);
		expect(shadow.agreement.summary()).toBe(
			"1 checks: agreed with Nova on 0; would have rejected 1 that Nova accepted (0 of them unknown); would have accepted 0 that Nova refused; outcome not seen of 0; with the devices that Nova chose: 0 of 1 accepted",
		);
	});

	test("Nova asks the next destination: it has refused the one before", async () => {
		const { take, told, shadow } = watch();
		await take(check("test_compute2"));
		await take(check("test_compute1"));
		await take(start("test_compute1"));
		const lines = await told(2);
		expect(lines[0]).toContain("-> test_compute2: would reject, Nova refused; ");
		expect(lines[1]).toContain("-> test_compute1: would accept, Nova accepted; ");
		expect(shadow.agreement.summary()).toContain("2 checks: agreed with Nova on 2;");
	});

	test("a witness is told of each, with what Nova did and what is said of the devices that it chose", async () => {
		const { take, told, witnessed } = watch();
		await take(check("test_compute2"), check("test_compute1"), start("test_compute1"));
		await told(2);
		expect(witnessed).toMatchObject([
			{
				request: { instance_uuid: INSTANCE, dest_host: "test_compute2" },
				options: { request_id: REQUEST },
				decision: { verdict: "reject" },
				shadow: { cell: "cell1", nova: "refused" },
			},
			{ decision: { verdict: "accept" }, shadow: { nova: "accepted", exact: { verdict: "accept" } } },
		]);
		expect(witnessed[0]?.shadow).not.toHaveProperty("exact");
	});

	test("no cast in time: Nova has refused it", async () => {
		const { take, told } = watch({ patience: 0.05 });
		await take(check());
		expect(await told(1)).toEqual([expect.stringContaining("would accept, Nova refused; ")]);
		// Too late to count again.
		await take(start());
		expect(await told(1)).toHaveLength(1);
	});

	test("the cast comes before our decision is made", async () => {
		const { take, told } = watch();
		await Promise.all([take(check()), take(start())]);
		expect((await told(1))[0]).toContain("would accept, Nova accepted; ");
	});

	test("an agent that does not answer leaves it unknown, which is refused by policy", async () => {
		const { take, told, hosts, shadow } = watch();
		hosts.set("test_compute0", []);
		await take(check(), start("test_compute1", {}));
		expect((await told(1))[0]).toMatch(
			/would reject, Nova accepted; unknown \(refused by policy\) .*device.unaccounted/,
		);
		expect(shadow.agreement.summary()).toContain("would have rejected 1 that Nova accepted (1 of them unknown)");
	});
});

describe("what Nova has chosen", () => {
	test("an mdev that the agent sees with its next scan is waited for", async () => {
		const { take, told, hosts } = watch({ lookAgain: 1 });
		await take(check());
		await take(start("test_compute1", { "0000:81:00.1": "0000:82:00.7" }, "target_mdevs"));
		await sleep(80);
		hosts.set("test_compute1", [
			pci("0000:82:00.7", { interface_version: "2.1.0", interface_version_compatible: "2.0.2-" }),
		]);
		expect((await told(1))[0]).toContain("with the devices that Nova chose: accept [");
	});

	test("one that nobody ever sees leaves it unknown", async () => {
		const { take, told } = watch({ lookAgain: 0.01 });
		await take(check(), start("test_compute1", { "0000:81:00.1": "0000:99:00.1" }));
		expect((await told(1))[0]).toContain('test_compute1 has no device "0000:99:00.1", which Nova has chosen');
	});

	test("is not compared beside a thousand others that are not told yet", async () => {
		let compared = 0;
		let answer = () => {};
		const answered = new Promise<undefined>((resolve) => {
			answer = () => resolve(undefined);
		});
		const checkPlacement: ShadowOptions["checkPlacement"] = async () => {
			compared++;
			await answered;
			throw new Error("nobody knows");
		};
		const { shadow, take } = watch({ checkPlacement });
		const count = () => shadow.agreement.samples()[0]?.count;
		for (let index = 0; index < 1_002; index++) {
			const changes = { _context_request_id: `req-00000000-0000-0000-0000-${String(index).padStart(12, "0")}` };
			await take(check("test_compute1", changes));
			await take(start("test_compute1", { "0000:81:00.1": "0000:82:00.1" }, "pci_dev_map_src_dst", changes));
		}
		await expect.poll(count).toBe(1_002);
		expect(compared).toBe(1_000);
		answer();
	});

	test("is not waited for at the end", async () => {
		const { shadow, take, told } = watch();
		await take(check(), start("test_compute1", { "0000:81:00.1": "0000:99:00.1" }));
		await shadow.stop();
		expect(await told(1)).toHaveLength(1);
	});
});

describe("what cannot be told", () => {
	test("messages were missed while the connection was gone", async () => {
		const { shadow, take, told } = watch();
		await take(check());
		shadow.missed();
		expect((await told(1))[0]).toContain("would accept, what Nova did was not seen; ");
		await take(start());
		expect(await told(1)).toHaveLength(1);
		expect(shadow.agreement.summary()).toContain("agreed with Nova on 0");
	});

	test("the connection is gone for longer than Nova takes", async () => {
		const { take, told } = watch({ patience: 0.05, isListening: () => false });
		await take(check());
		expect((await told(1))[0]).toContain("would accept, what Nova did was not seen; ");
	});

	test("the service ends before it has seen it", async () => {
		const { shadow, take, lines } = watch();
		await take(check());
		await shadow.stop();
		expect(lines[0]).toContain("what Nova did was not seen");
	});

	test("Nova begins a migration of which a check was missed", async () => {
		const { take, told } = watch();
		await take(check("test_compute1"), start("test_compute2"));
		expect((await told(1))[0]).toContain("-> test_compute1: would accept, what Nova did was not seen; ");
	});

	test("of more than a thousand open ones, the oldest are given up", async () => {
		const { shadow, take } = watch();
		for (let index = 0; index < 1_100; index++) {
			const id = `req-00000000-0000-0000-0000-${String(index).padStart(12, "0")}`;
			await take(check("test_compute1", { _context_request_id: id }));
		}
		await expect.poll(() => shadow.agreement.samples()).toMatchObject([{ outcome: "unseen", count: 100 }]);
	});
});

describe("what is on the bus beside that", () => {
	test("the same message twice is one check", async () => {
		const { shadow, take, told } = watch();
		await take(check());
		await take(check());
		await take(start());
		expect(await told(1)).toHaveLength(1);
		expect(shadow.agreement.summary()).toContain("1 checks");
	});

	test("another method, no message, another major version: acknowledged, and nothing happens", async () => {
		const { take, lines, shadow } = watch();
		const other = scripted(sealEnvelope({ ...CHECK.message, method: "build_and_run_instance" }).toString());
		const odd = [scripted("{"), scripted("", { tooLarge: 5_000_000 }), scripted("[1]")];
		const args = CHECK.message["args"] as Fields;
		const instance = { ...(args["instance"] as Fields), "nova_object.version": "3.0" };
		const newer = check("test_compute1", { args: { ...args, instance } });
		await take(other, ...odd, newer);
		expect([other, ...odd, newer].map(({ ended }) => ended)).toEqual(Array(5).fill(["ack"]));
		expect(lines.filter((line) => !line.includes(" DEBUG "))).toEqual([
			expect.stringContaining(
				'WARNING novacompat.test [-] shadow cell1: compute.test_compute1: Instance has version "3.0"',
			),
		]);
		expect(shadow.agreement.samples()).toEqual([]);
	});

	test.each([[1], "x", { a: 1 }, { ["x".repeat(65)]: "y" }])("a mapping that is none: %j", async (mapping) => {
		const { take, lines } = watch();
		await take(check());
		await take(start("test_compute1", mapping as Fields));
		expect(lines[0]).toContain("WARNING");
		expect(lines[0]).toContain("migrate_data.pci_dev_map_src_dst is not an object of at most 256 device ids");
	});
});
