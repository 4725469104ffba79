import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scanNow } from "../../src/agent/scan-result.ts";
import { startAgentServer } from "../../src/agent/server.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { RabbitTransport } from "../../src/messaging/rabbit.ts";
import { RabbitOptions } from "../../src/messaging/rabbit-options.ts";
import { parseTransportUrl } from "../../src/messaging/transport-url.ts";
import { readRecording } from "../../src/recording/recording.ts";
import { MAIN, novacompat, novacompatWith, REPOSITORY } from "../support/cli.ts";
import { recordingLog } from "../support/log.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const SAMPLES = `${REPOSITORY}config/samples`;
const HOSTS = ["test_compute0", "test_compute1"];
const NOVA = readdirSync(`${SAMPLES}/recordings`).map((file) => `${SAMPLES}/recordings/${file}`);
const TOKEN = "gAAAAABcanary";

let directory: string;
let broker: TestBroker;
const path = (name: string) => join(directory, name);

/** `novacompat serve` with agents on sample hosts; stops both. */
async function serve(yaml: string): Promise<() => Promise<void>> {
	const { log } = recordingLog();
	const agents = await Promise.all(
		HOSTS.map((host) => {
			const scan = { host, sysfsRoot: `${SAMPLES}/hosts/${host}/sys`, libvirtDir: `${SAMPLES}/hosts/${host}/libvirt` };
			return startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: () => scanNow(scan), log });
		}),
	);
	const urls = agents.map(({ url }, index) => `${HOSTS[index]}: ${url}`).join(", ");
	const config = path("novacompat.yaml");
	writeFileSync(
		config,
		`transport_url: ${broker.url}\nhost: novacompat-1\nagents: {${urls}}\nstand_in_hosts: [test_compute1, cmp-down]\n${yaml}`,
	);
	const child = spawn(process.execPath, [MAIN, "serve", "--config-file", config], {
		stdio: ["ignore", "ignore", "pipe"],
	});
	for await (const line of createInterface(child.stderr)) if (line.includes("serving ready")) break;
	return async () => {
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
		await Promise.all(agents.map((agent) => agent.close()));
	};
}

/** As Nova does, with all that it sends; and as our own clients do. */
async function askEverything(): Promise<void> {
	const url = parseTransportUrl(broker.url);
	const { log } = recordingLog();
	const transport = new RabbitTransport({ url, options: RabbitOptions.parse({}), connectionName: "test", log });
	const client = new RpcClient(transport);
	const ignore = () => undefined;
	for (const file of NOVA) {
		const { exchange, routing_key, message } = readRecording(readFileSync(file, "utf8"));
		const [topic = "", server = ""] = routing_key.split(".");
		const secret = { ...message, _context_auth_token: TOKEN };
		await client.send({ exchange, topic, server }, secret, { timeout: 10 }).catch(ignore);
		await client.send({ exchange, topic, server: "cmp-down" }, secret, { timeout: 10 }).catch(ignore);
	}
	const ours = { exchange: "nova", topic: "migration_compat", version: "1.1" };
	const request = { instance_uuid: "0002587c-b09d-468a-9995-53d16eeb8a15", source_host: "test_compute0" };
	for (const args of [
		{ request: { ...request, dest_host: "test_compute1" } },
		{ request: { ...request, dest_host: "test_compute1", devices: ["0000:3b:10.2"] } },
		{ request: {} },
		{ request, wrong: 1 },
	]) {
		await client.call(ours, "check_live_migration", args, { timeout: 10 }).catch(ignore);
	}
	await client.call(ours, "rank_destinations", { request: { ...request, dest_hosts: HOSTS } }, { timeout: 10 });
	await client.close();
	await transport.close();
}

const COUNT = 2 * NOVA.length + 5;
const SAME = `${COUNT} replayed: ${COUNT} as recorded, 0 different\n`;

beforeAll(async () => {
	directory = temporaryDirectory(afterAll);
	broker = await startRabbitMq();
	const stop = await serve(`journal: { directory: journal }\nrecording: { file: recording.jsonl }\n`);
	await askEverything();
	await stop();
	const made = novacompat(
		"record",
		path("recording.jsonl"),
		"--journal",
		path("journal"),
		"--output",
		path("all.jsonl"),
	);
	expect(made).toEqual({ status: 0, stdout: "", stderr: "" });
});
afterAll(() => broker?.stop());

describe("yesterday's checks, made again today", () => {
	test("in this process, from the recording alone: the same", () => {
		expect(novacompat("replay", path("all.jsonl"))).toEqual({ status: 0, stdout: SAME, stderr: "" });
	});

	test("from the recording and the journal of the service: the same, in whatever order", () => {
		const words = [path("recording.jsonl"), "--journal", path("journal"), "--concurrency", "8"];
		expect(novacompat("replay", ...words)).toEqual({ status: 0, stdout: SAME, stderr: "" });
	});

	test("with other policies: what they change", () => {
		const policy = path("lenient.yaml");
		writeFileSync(policy, "unknown: accept\n");
		const { status, stdout } = novacompat("replay", path("all.jsonl"), "--policy", policy);
		expect(status).toBe(1);
		expect(stdout).toContain("differs  check_can_live_migrate_destination to compute.cmp-down req-");
		expect(stdout).toMatch(/ {2}failure\.class\n {4}- "MigrationPreCheckError"\n/);
		expect(stdout).toMatch(/ {2}result\n {4}\+ null\n/);
	});

	test("at a live service, which has the same hosts: the same, and no faster than it may be", {
		timeout: 60_000,
	}, async () => {
		const stop = await serve("");
		const started = performance.now();
		const words = [path("all.jsonl"), "--live", "--rate", "10", "--concurrency", "4"];
		const env = { ...process.env, NOVACOMPAT_TRANSPORT_URL: broker.url };
		// The agents are in this process, so it must not stand still meanwhile.
		const replayed = await promisify(execFile)(process.execPath, [MAIN, "replay", ...words], { env });
		expect(replayed).toEqual({ stdout: SAME, stderr: "" });
		expect(performance.now() - started).toBeGreaterThanOrEqual((COUNT - 1) * 100);
		await stop();
	});

	test("at a live service that has gone: what nobody answers is different", () => {
		const env = { NOVACOMPAT_TRANSPORT_URL: broker.url };
		const words = [path("all.jsonl"), "--live", "--timeout", "0.5", "--concurrency", "20"];
		const { status, stdout } = novacompatWith({ env }, "replay", ...words);
		expect(status).toBe(1);
		expect(stdout).toMatch(/ {4}\+ "(MessagingTimeout|MessageUndeliverable)"\n/);
	});

	test("without a broker: 75", () => {
		const words = [path("all.jsonl"), "--transport-url", "rabbit://127.0.0.1:1/", "--timeout", "1"];
		expect(novacompat("replay", ...words)).toMatchObject({ status: 75, stdout: "" });
	});

	test("SEC-01: with a password on the command line, or without any broker: 64", () => {
		const refused = (...words: readonly string[]) => novacompat("replay", path("all.jsonl"), ...words);
		const open = refused("--transport-url", "rabbit://u:s3cr3t@127.0.0.1:1/");
		expect(open).toMatchObject({ status: 64, stderr: expect.stringMatching(/--transport-url has a password/) });
		expect(open.stderr).not.toContain("s3cr3t");
		expect(refused("--live")).toMatchObject({ status: 64, stderr: expect.stringMatching(/which broker\?/) });
	});
});

describe("a difference", () => {
	/** The recording, as if a reject had been an accept. */
	function altered(): string {
		const file = path("altered.jsonl");
		const lines = readFileSync(path("all.jsonl"), "utf8").split("\n");
		const at = lines.findIndex((line) => line.includes('"verdict":"reject"') && line.startsWith('{"time"'));
		lines[at] = lines[at]?.replace('"verdict":"reject"', '"verdict":"accept"') ?? "";
		writeFileSync(file, lines.join("\n"));
		return file;
	}

	test("is shown field by field, in JUnit XML too, and the exit code is 1", () => {
		const { status, stdout } = novacompat("replay", altered(), "--junit", path("junit.xml"));
		expect({ status, stdout }).toEqual({
			status: 1,
			stdout: `differs  check_live_migration to migration_compat.novacompat-1 -
  result.verdict
    - "accept"
    + "reject"
${COUNT} replayed: ${COUNT - 1} as recorded, 1 different
`,
		});
		const xml = readFileSync(path("junit.xml"), "utf8");
		expect(xml).toContain(`<testsuite name="novacompat replay" tests="${COUNT}" failures="1" errors="0" skipped="0"`);
		expect(xml).toContain('<failure message="result.verdict">differs  check_live_migration');
		expect(xml.match(/<testcase /g)).toHaveLength(COUNT);
	});
});

describe("what is recorded", () => {
	test("SEC-10: of the request context nothing but ids, in the recording and in the journal", () => {
		const written = [path("recording.jsonl"), path("all.jsonl"), path("journal/journal-000001.jsonl")];
		for (const file of written) {
			const text = readFileSync(file, "utf8");
			expect(text.includes(TOKEN)).toBe(false);
			for (const recorded of NOVA) {
				const { message } = readRecording(readFileSync(recorded, "utf8"));
				for (const key of ["auth_token", "service_catalog", "user_name", "remote_address"]) {
					const value = message[`_context_${key}`];
					if (typeof value === "string" && value.length > 8) expect(text.includes(value), key).toBe(false);
				}
			}
		}
		expect(statSync(path("recording.jsonl")).mode & 0o777).toBe(0o600);
		expect(statSync(path("all.jsonl")).mode & 0o777).toBe(0o600);
	});

	test("with --share no id of then is in it, and it can be replayed all the same", () => {
		const shared = path("shared.jsonl");
		expect(novacompat("record", path("all.jsonl"), "--share", "--output", shared).status).toBe(0);
		const text = readFileSync(shared, "utf8");
		for (const file of NOVA) {
			const { message } = readRecording(readFileSync(file, "utf8"));
			const instance = /"uuid":"([0-9a-f-]{36})"/.exec(JSON.stringify(message))?.[1];
			const ids = [
				message["_context_request_id"],
				message["_context_project_id"],
				message["_context_user_id"],
				instance,
			];
			for (const id of ids) expect(text.includes(String(id))).toBe(false);
		}
		expect(novacompat("replay", shared)).toEqual({ status: 0, stdout: SAME, stderr: "" });
	});
});

test("the shared recording of the samples is answered as it was", () => {
	expect(novacompat("replay", "config/samples/migrations.jsonl")).toEqual({ status: 0, stdout: SAME, stderr: "" });
});

describe("recordings that know nothing of hosts", () => {
	test("single messages of Nova, on hosts that are given: what they get now", () => {
		const { status, stdout } = novacompat("replay", ...NOVA, "--hosts", `${SAMPLES}/hosts`);
		expect(status).toBe(0);
		expect(stdout).toContain("4 replayed: 0 as recorded, 0 different, 4 without a recorded reply\n");
		expect(stdout).toContain('  {"result":null}\n');
		expect(stdout).toContain('"reason":"software_version 1.3.0 needs at least 1.3;');
	});

	test("a capture of RabbitMQ's firehose: what another service had answered is different", () => {
		const { status, stdout } = novacompat("replay", "test/recording/firehose/oslo-no_such_method.jsonl");
		expect({ status, stdout }).toEqual({ status: 0, stdout: "1 replayed: 1 as recorded, 0 different\n" });
		expect(novacompat("replay", "test/recording/firehose/oslo-call.jsonl").status).toBe(1);
	});

	test.each([
		[["package.json"], "package.json:1: no recorded message, expected exchange, routing_key and message"],
		[["test/recording/nova/2026.1.vgpufail.failure-1.reply.json"], "no request, expected a recording"],
		[["nowhere.jsonl"], "ENOENT"],
	])("%j cannot be replayed", (files, says) => {
		const { status, stderr } = novacompat("replay", ...files);
		expect(status).toBe(64);
		expect(stderr).toContain(says);
	});
});
