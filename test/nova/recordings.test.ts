import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RemoteError } from "../../src/messaging/errors.ts";
import { type RecordedMessage, readRecording } from "../../src/recording/recording.ts";
import { startService } from "../support/service.ts";

const FOLDERS = [`${import.meta.dirname}/../recordings`, `${import.meta.dirname}/../../config/samples/recordings`];

function recordings(): readonly (readonly [name: string, message: RecordedMessage])[] {
	return FOLDERS.flatMap((folder) =>
		readdirSync(folder).map((file) => [file, readRecording(readFileSync(`${folder}/${file}`, "utf8"))] as const),
	);
}

/** What Nova gets for each recorded message when all of its hosts have an agent, except where the name says otherwise. */
const ANSWERS: Readonly<Record<string, null | string | RegExp>> = {
	"2024.1.vgpu.check_can_live_migrate_destination.request.json":
		/no agent is configured for host "src"; no agent .* "dest"/,
	"2024.1.vgpu.check_can_live_migrate_source.request.json": "NoSuchMethod",
	"2024.1.vgpu.live_migration.request.json": "NoSuchMethod",
	"2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json": null,
	"2025.1.pci-alias-vfio-variant.check_can_live_migrate_source.request.json": "NoSuchMethod",
	"2025.1.pci-alias-vfio-variant.live_migration.request.json": "NoSuchMethod",
	"2026.1.pci-alias+sriov-port+numa.check_can_live_migrate_destination.request.json": null,
	"2026.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json":
		/^Migration pre-check error: software_version 1\.3\.0 needs .*; interface_version 2\.0\.1 is not accepted by test_compute1/,
	"2026.1.pci-alias-vfio-variant.live_migration.request.json": "NoSuchMethod",
	"2026.1.sriov-ports+numa.check_can_live_migrate_destination.request.json": null,
	"2026.1.vdpa.check_can_live_migrate_destination.request.json": null,
	"2026.1.vdpa.check_can_live_migrate_source.request.json": "NoSuchMethod",
	"2026.1.vdpa.live_migration.request.json": "NoSuchMethod",
	"raw.zed.cell1.check_can_live_migrate_destination.json": null,
	"raw.zed.cell1.live_migration.json": "NoSuchMethod",
	"zed.sriov-ports+numa.check_can_live_migrate_destination.request.json": null,
};

describe("messages recorded from real Nova, sent unchanged but for the ids of the call", () => {
	let rig: Awaited<ReturnType<typeof startService>>;
	beforeAll(async () => {
		const hosts = [...new Set(recordings().map(([, { routing_key }]) => routing_key.split(".", 2)[1] ?? ""))];
		rig = await startService(["test_compute0", "test_compute1"], { stand_in_hosts: hosts });
	});
	afterAll(() => rig.stop());

	test("there is an answer for every recording", () => {
		expect(
			recordings()
				.map(([name]) => name)
				.sort(),
		).toEqual(Object.keys(ANSWERS).sort());
	});

	test.each(recordings())("%s", async (name, { exchange, routing_key, message }) => {
		// What nova-compute of 2026.1 hears on its second topic, compute-alt, reaches its host all the same.
		const server = routing_key.split(".", 2)[1] ?? "";
		const outcome = await rig.client
			.send({ exchange, topic: "compute", server }, message, { timeout: 5 })
			.catch((error: RemoteError) => error);
		const expected = ANSWERS[name];
		if (expected === null) expect(outcome).toBeNull();
		else if (expected === "NoSuchMethod")
			expect(outcome).toMatchObject({ excType: "NoSuchMethod", module: "oslo_messaging.rpc.dispatcher" });
		else {
			const error = {
				excType: "MigrationPreCheckError",
				module: "nova.exception",
				value: expect.stringMatching(expected ?? ""),
			};
			expect(outcome).toMatchObject({ ...error, kwargs: { code: 500, reason: expect.any(String) } });
		}
	});

	test("one line per decision, with Nova's request id and the instance", () => {
		const decisions = rig.lines.filter((line) => line.includes("live migration "));
		expect(decisions).toHaveLength(Object.keys(ANSWERS).filter((name) => name.includes("destination")).length);
		for (const line of decisions)
			expect(line).toMatch(
				/\[(None|req-[0-9a-f-]{36}) req-[0-9a-f-]{36} .*\] \[instance: [0-9a-f-]{36}\] live migration /,
			);
	});

	test("nothing of the request context but ids is in any line", () => {
		const text = rig.lines.join("");
		for (const [, { message }] of recordings()) {
			for (const [key, value] of Object.entries(message)) {
				if (
					!/^_context_(auth_token|service_catalog|remote_address|user_name|project_name|roles|user_identity)$/.test(key)
				)
					continue;
				for (const secret of secretsIn(value)) expect(text, key).not.toContain(secret);
			}
		}
	});
});

/** Texts long enough not to turn up by chance; ids are allowed. */
function secretsIn(value: unknown): readonly string[] {
	if (typeof value === "string") return value.length > 8 && !/^[0-9a-f]{32}$/.test(value) ? [value] : [];
	return typeof value === "object" && value !== null ? Object.values(value).flatMap(secretsIn) : [];
}
