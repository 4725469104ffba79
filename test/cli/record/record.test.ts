import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import amqp from "amqplib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { newId, requestFields, sealEnvelope } from "../../../src/messaging/message.ts";
import { MAIN, novacompat, novacompatWith } from "../../support/cli.ts";
import { freePort } from "../../support/free-port.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { addTapUser } from "../../support/tap-user.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const CAPTURE = `${import.meta.dirname}/../../../config/samples/recordings/2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json`;
const TOKEN = "canary-7d20-token";

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());
const directory = temporaryDirectory(afterAll);

describe("record without files", () => {
	test("writes what passes on the bus until it is ended, as the user who may do nothing but listen", {
		timeout: 60_000,
	}, async () => {
		const connection = await amqp.connect(broker.url.replace("rabbit:", "amqp:"));
		const nova = await connection.createChannel();
		await nova.assertExchange("nova", "topic", { durable: false });
		const output = join(directory, "recording.jsonl");
		writeFileSync(output, "of yesterday\n", { mode: 0o644 });
		const child = spawn(process.execPath, [MAIN, "record", "--output", output], {
			env: { ...process.env, NOVACOMPAT_TRANSPORT_URL: await addTapUser(broker) },
			stdio: ["ignore", "ignore", "pipe"],
		});
		const said: string[] = [];
		createInterface(child.stderr).on("line", (line) => said.push(line));
		await vi.waitFor(
			() => expect(said.join("\n")).toContain("recording nova/compute.#, nova/compute-alt.#, nova/migration_compat.#"),
			30_000,
		);

		const send = (key: string, method: string, args: Readonly<Record<string, unknown>>) => {
			const context = { _context_auth_token: TOKEN, _context_request_id: "req-1" };
			const call = { _msg_id: newId(), _reply_q: "reply_1" };
			const body = sealEnvelope({ ...requestFields(method, args, {}), ...context, ...call });
			nova.publish("nova", key, body, { contentType: "application/json" });
		};
		const { exchange, routing_key, message } = JSON.parse(readFileSync(CAPTURE, "utf8"));
		nova.publish(exchange, routing_key, sealEnvelope({ ...message, _context_auth_token: TOKEN }), {
			contentType: "application/json",
		});
		send("compute.cmp-01", "set_admin_password", { new_pass: TOKEN });
		send("scheduler", "check_live_migration", {});
		nova.publish("nova", "compute.cmp-01", Buffer.from(TOKEN), { contentType: "application/json" });
		send("migration_compat", "check_live_migration", {
			request: { instance_uuid: "i", source_host: "cmp-01", dest_host: "cmp-02", password: TOKEN },
		});
		const recorded = () => readFileSync(output, "utf8").trimEnd().split("\n");
		await vi.waitFor(() => expect(recorded()).toHaveLength(3), 30_000);
		child.kill("SIGINT");
		expect(await once(child, "exit")).toEqual([0, null]);
		await connection.close();

		expect(said.at(-1)).toBe("novacompat: 2 messages recorded");
		expect(statSync(output).mode & 0o777).toBe(0o600);
		expect(readFileSync(output, "utf8")).not.toContain(TOKEN);
		const [first, ...lines] = recorded().map((line) => JSON.parse(line));
		expect(first).toEqual({ type: "recording", schema_version: "1.0", shared: false });
		expect(lines.map((line) => [line.exchange, line.routing_key, line.message.method])).toEqual([
			["nova", routing_key, "check_can_live_migrate_destination"],
			["nova", "migration_compat", "check_live_migration"],
		]);
		// It is a recording as any other.
		const shared = novacompat("record", output, "--share");
		expect(shared).toMatchObject({ status: 0, stderr: "" });
		expect(shared.stdout.trimEnd().split("\n")).toHaveLength(3);
	});

	test.each([
		[["record"], "which broker? expected --nova-conf, --config-file, --transport-url"],
		[["record", "--share"], "which files? --share and --journal need what was recorded"],
		[["record", "--journal", "/nowhere"], "which files? --share and --journal need what was recorded"],
		[["record", CAPTURE, "--exchange", "nova"], `files and a broker: expected one of them (${CAPTURE})`],
	] as const)("%j is no use", (words, message) => {
		const { status, stderr, stdout } = novacompat(...words);
		expect(stderr).toContain(message);
		expect([status, stdout]).toEqual([64, ""]);
	});

	test("75: ended before there was anything to listen to, it says so", async () => {
		const child = spawn(process.execPath, [MAIN, "record", "--output", join(directory, "deaf.jsonl")], {
			env: { ...process.env, NOVACOMPAT_TRANSPORT_URL: `rabbit://127.0.0.1:${await freePort()}/` },
			stdio: ["ignore", "ignore", "pipe"],
		});
		let said = "";
		child.stderr.on("data", (chunk) => {
			said += chunk;
		});
		await vi.waitFor(() => expect(said).toContain("ECONNREFUSED"), 20_000);
		child.kill("SIGINT");
		const [code] = await once(child, "exit");
		expect({ code, last: said.trimEnd().split("\n").at(-1) }).toEqual({
			code: 75,
			last: "novacompat: nothing was recorded: it never came to listen on the bus",
		});
	});

	test("numbers that JavaScript's own JSON has not stay what they are", () => {
		const raw = join(directory, "raw.json");
		const inner = '{"method":"ping","args":{"arg":99999999999999999999},"_timeout":NaN}';
		const body = { "oslo.version": "2.0", "oslo.message": inner };
		writeFileSync(raw, JSON.stringify({ exchange: "nova", routing_key: "compute.cmp-01", body }));
		const { stdout, stderr } = novacompat("record", raw);
		expect(stderr).toBe("");
		expect(stdout).toContain(`"message":${inner}`);
	});

	test("a line that is cut off is told, and the rest is read", () => {
		const [whole, torn] = [join(directory, "whole.jsonl"), join(directory, "torn.jsonl")];
		const message = { exchange: "nova", routing_key: "compute.cmp-01", message: { method: "ping" } };
		const line = `${JSON.stringify({ time: "2026-01-01T00:00:00.000Z", ...message })}\n`;
		writeFileSync(whole, line + line);
		writeFileSync(torn, `${line}${line.slice(0, 60)}\n${line}`);
		const { status, stdout, stderr } = novacompat("record", torn);
		expect(stderr).toBe(`novacompat: ${torn}:2: the line is cut off, or was changed\n`);
		expect({ status, stdout }).toEqual({ status: 1, stdout: novacompat("record", whole).stdout });
	});

	test("what cannot be written ends it, with the name of the file", () => {
		const output = join(directory, "none", "recording.jsonl");
		const env = { NOVACOMPAT_TRANSPORT_URL: broker.url };
		const { status, stderr } = novacompatWith({ env }, "record", "--output", output);
		expect(stderr).toContain(`no such file or directory, open '${output}'`);
		expect(status).toBe(novacompat("record", CAPTURE, "--output", output).status);
	});

	test("what was written before is left alone by a command that is no use", () => {
		const output = join(directory, "old.jsonl");
		writeFileSync(output, "of yesterday\n");
		const env = { NOVACOMPAT_TRANSPORT_URL: "memory://" };
		expect(novacompatWith({ env }, "record", "--output", output).status).toBe(64);
		expect(readFileSync(output, "utf8")).toBe("of yesterday\n");
	});

	test("a full disk ends it", () => {
		const env = { NOVACOMPAT_TRANSPORT_URL: broker.url };
		const { status, stderr } = novacompatWith({ env }, "record", "--output", "/dev/full");
		expect(stderr).toContain("novacompat: /dev/full: ENOSPC: no space left on device");
		expect(stderr).not.toContain("recorded");
		expect(status).toBe(novacompat("record", CAPTURE, "--output", "/dev/full").status);
	});
});
