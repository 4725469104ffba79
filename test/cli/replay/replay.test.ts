import { execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scanNow } from "../../../src/agent/scan-result.ts";
import { startAgentServer } from "../../../src/agent/server.ts";
import { Journal } from "../../../src/journal/journal.ts";
import { RpcClient } from "../../../src/messaging/client.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { readRecording } from "../../../src/recording/recording.ts";
import { closeWritten, makeCheck, snapshot } from "../../support/checks.ts";
import { MAIN, novacompat, novacompatWith, REPOSITORY } from "../../support/cli.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const SAMPLES = `${REPOSITORY}config/samples`;
const HOSTS = ["test_compute0", "test_compute1"];
const NOVA = readdirSync(`${SAMPLES}/recordings`).map((file) => `${SAMPLES}/recordings/${file}`);
const TOKEN = "gAAAAABcanary";
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi;

const directory = temporaryDirectory(afterAll);
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

const NOTHING = "nothing was compared: no request has a recorded reply, or a decision in the journal of the shadow";

beforeAll(async () => {
	broker = await startRabbitMq();
	for (const name of ["recording.jsonl", "all.jsonl"]) {
		writeFileSync(path(name), "");
		chmodSync(path(name), 0o644);
	}
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

	test("from the recording and the journal of the service, before or behind it: the same, in whatever order", () => {
		const words = [
			"--journal",
			path("journal"),
			"--hosts",
			`${SAMPLES}/hosts`,
			path("recording.jsonl"),
			"--concurrency",
			"8",
		];
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
		const stop = await serve("recording: { file: new.jsonl }\n");
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

	test("without a broker: 75, and a report with an error", () => {
		const xml = path("no-broker.xml");
		const words = [path("all.jsonl"), "--transport-url", "rabbit://127.0.0.1:1/", "--timeout", "1", "--junit", xml];
		const { status, stdout, stderr } = novacompat("replay", ...words);
		expect({ status, stdout }).toEqual({ status: 75, stdout: "" });
		const [said = ""] = stderr.trimEnd().split("\n").slice(-1);
		expect(readFileSync(xml, "utf8")).toContain(`<error message="${said.replace("novacompat: ", "")}"/>`);
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

describe("a recording that has lost something", () => {
	/** What a line must not be, exit code, how many are as recorded, without a reply, and what is said. */
	const LOST: Readonly<Record<string, readonly [RegExp, number, RegExp]>> = {
		"all replies": [/"exchange":""/, 1, new RegExp(`, ${COUNT} without a recorded reply\n${NOTHING}\n$`)],
		"half of the replies": [/"exchange":"".*"_msg_id":"[0-7]/, 0, /, \d+ without a recorded reply\n$/],
		"the policy": [/^\{"type":"policy"/, 1, /different\n\d+ decisions of the journal cannot be made again\n$/],
	};
	test.each(Object.entries(LOST))("%s", (_, [lost, code, says]) => {
		const file = path("lost.jsonl");
		const lines = readFileSync(path("all.jsonl"), "utf8").split("\n");
		writeFileSync(file, lines.filter((line) => !lost.test(line)).join("\n"));
		const { status, stdout } = novacompat("replay", file);
		expect(stdout).toMatch(says);
		expect(status).toBe(code);
	});

	test("a line of the journal: the rest is as recorded, and it is said all the same", () => {
		const journal = path("damaged.jsonl");
		writeFileSync(journal, `${readFileSync(path("journal/journal-000001.jsonl"), "utf8")}{"type":"decision","ti`);
		const words = [path("recording.jsonl"), "--journal", journal, "--junit", path("junit.xml")];
		const { status, stdout, stderr } = novacompat("replay", ...words);
		expect({ status, stdout }).toEqual({ status: 1, stdout: `${SAME}1 line is damaged\n` });
		expect(stderr).toMatch(/^novacompat: \S+damaged\.jsonl:\d+: the line is cut off, or has no checksum\n$/);
		expect(readFileSync(path("junit.xml"), "utf8")).toContain('<error message="1 line is damaged"/>');
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
	});

	test.each([
		["recording.jsonl", "that was there, for all to read"],
		["all.jsonl", "that was there, for all to read"],
		["new.jsonl", "that was not there"],
	])("is for nobody else to read: %s, %s", (name) => {
		expect(statSync(path(name)).size).toBeGreaterThan(0);
		expect(statSync(path(name)).mode & 0o777).toBe(0o600);
	});

	test("with --share no id of then is in it, and it can be replayed all the same", () => {
		const shared = path("shared.jsonl");
		expect(novacompat("record", path("all.jsonl"), "--share", "--output", shared).status).toBe(0);
		const [text, before] = [shared, path("all.jsonl")].map((file) => readFileSync(file, "utf8"));
		const uuids = new Set(before?.match(UUID));
		for (const file of NOVA) {
			const { message } = readRecording(readFileSync(file, "utf8"));
			for (const id of ["request_id", "project_id", "user_id"]) uuids.add(String(message[`_context_${id}`]));
			for (const id of JSON.stringify(message["args"]).match(/(?<="uuid":")[0-9a-f-]{36}/g) ?? []) uuids.add(id);
		}
		// Instances, ports, boots of hosts, and requests.
		expect(uuids.size).toBeGreaterThan(10);
		expect([...uuids].filter((id) => text?.includes(id))).toEqual([]);
		expect(novacompat("replay", shared)).toEqual({ status: 0, stdout: SAME, stderr: "" });
	});
});

test("with --share a mediated device that was chosen is chosen again, by its other name", async () => {
	const directory = temporaryDirectory();
	const [source, target] = [snapshot("cmp-01", "1.1.0"), snapshot("cmp-02", "1.1.0")];
	const [device = expect.fail()] = target.devices;
	const devices = Array.from({ length: 8 }, () => ({ ...device, id: randomUUID() }));
	const made = await makeCheck({ source, target: { ...target, devices } });
	const journal = new Journal({ directory, max_file_size: 1024 * 1024, max_files: 2 }, recordingLog().log);
	journal.record(made);
	await closeWritten(journal);
	const { instance_uuid, source_host, dest_host } = made.request;
	const request = { instance_uuid, source_host, dest_host };
	const ids = { _msg_id: "1", _reply_q: "reply_1", _context_request_id: made.options.request_id };
	const lines = [
		{ method: "check_live_migration", version: "1.1", args: { request }, ...ids },
		{ result: made.decision, failure: null, ending: true, _msg_id: "1" },
	].map((message) => ({ exchange: "nova", routing_key: "migration_compat", message }));
	const [recording, shared] = [join(directory, "recording.jsonl"), join(directory, "shared.jsonl")];
	writeFileSync(recording, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
	const words = [recording, "--journal", directory, "--share", "--output", shared];
	expect(novacompat("record", ...words)).toEqual({ status: 0, stdout: "", stderr: "" });
	const text = readFileSync(shared, "utf8");
	expect(devices.filter(({ id }) => text.includes(id))).toEqual([]);
	const answer = { status: 0, stdout: "1 replayed: 1 as recorded, 0 different\n", stderr: "" };
	expect(Object.keys(made.decision.mapping)).toHaveLength(1);
	expect(novacompat("replay", shared)).toEqual(answer);
});

test("the shared recording of the samples is answered as it was, to the byte", () => {
	const output = path("replies.jsonl");
	const words = ["config/samples/migrations.jsonl", "--output", output];
	expect(novacompat("replay", ...words)).toEqual({ status: 0, stdout: SAME, stderr: "" });
	const replies = readFileSync(output, "utf8");
	expect(replies).toBe(readFileSync(`${REPOSITORY}test/cli/golden/migrations.replies.jsonl`, "utf8"));
	const [first] = replies.split("\n");
	const { id, request_id, body } = JSON.parse(first ?? "");
	expect({ id, request_id }).toEqual({
		id: expect.stringMatching(/^\w{32}$/),
		request_id: expect.stringMatching(/^req-/),
	});
	expect(JSON.parse(JSON.parse(body)["oslo.message"])).toMatchObject({
		_msg_id: id,
		_unique_id: "0".repeat(32),
		result: null,
	});
	expect(statSync(output).mode & 0o777).toBe(0o600);
});

describe("recordings that know nothing of hosts", () => {
	test("single messages of Nova, on hosts that are given: what they get now, and that it is compared with nothing", () => {
		const words = ["--hosts", `${SAMPLES}/hosts`, "--junit", path("junit.xml")];
		const { status, stdout } = novacompat("replay", ...NOVA, ...words);
		expect(status).toBe(1);
		expect(stdout).toContain(`4 replayed: 0 as recorded, 0 different, 4 without a recorded reply\n${NOTHING}\n`);
		const xml = readFileSync(path("junit.xml"), "utf8");
		expect(xml).toContain('tests="5" failures="0" errors="1" skipped="4"');
		expect(xml).toContain(`name="comparison" time="0.000"><error message="${NOTHING}"/></testcase>`);
		expect(stdout).toContain('  {"result":null}\n');
		expect(stdout).toContain('"reason":"software_version 1.3.0 needs at least 1.3;');
	});

	describe("captures of RabbitMQ's firehose", () => {
		const firehose = (name: string) => `test/recording/firehose/oslo-${name}.jsonl`;

		test("what no method of ours is for is not sent, and counted", () => {
			const { status, stdout } = novacompat("replay", ...["no_such_method", "call_none", "expected_exc"].map(firehose));
			expect({ status, stdout }).toEqual({
				status: 0,
				stdout: "1 replayed: 1 as recorded, 0 different, 2 for other services\n",
			});
		});

		test("shared without a journal nothing can be answered as it was, and it says so", () => {
			const shared = path("without-journal.jsonl");
			expect(novacompat("record", firehose("call"), "--share", "--output", shared).status).toBe(0);
			const { status, stderr } = novacompat("replay", shared, "--hosts", `${SAMPLES}/hosts`);
			expect(status).toBe(1);
			expect(stderr).toContain("the ids in this recording are pseudonyms");
		});

		test("nothing is left: that is no success", () => {
			const { status, stdout } = novacompat("replay", firehose("call_none"));
			expect({ status, stdout }).toEqual({
				status: 1,
				stdout: `0 replayed: 0 as recorded, 0 different, 1 for other services\n${NOTHING}\n`,
			});
		});

		test("of what a nova-compute had answered it is compared whether it refused", () => {
			const { status, stdout } = novacompat("replay", firehose("call"));
			expect({ status, stdout }).toEqual({
				status: 1,
				stdout: `differs  check_can_live_migrate_destination to compute.host1 req-0001
  refused
    - false
    + true
  Migration pre-check error: instance.host is missing, expected a text of 1 to 255 characters
1 replayed: 0 as recorded, 1 different
`,
			});
			const failed = path("failed.jsonl");
			const failure = { class: "MigrationPreCheckError", message: "no CPU", args: [], kwargs: {}, tb: ["Traceback"] };
			const reply = { result: null, failure: JSON.stringify(failure), ending: true };
			const capture = readFileSync(`${REPOSITORY}${firehose("call")}`, "utf8").split("\n");
			const lines = capture.map((line) => {
				if (!line.includes("ending")) return line;
				const told = JSON.parse(line);
				const body = JSON.parse(told.body);
				const { _msg_id } = JSON.parse(body["oslo.message"]);
				body["oslo.message"] = JSON.stringify({ ...reply, _msg_id });
				return JSON.stringify({ ...told, body: JSON.stringify(body) });
			});
			writeFileSync(failed, lines.join("\n"));
			const same = { status: 0, stdout: "1 replayed: 1 as recorded, 0 different\n" };
			expect(novacompat("replay", failed)).toMatchObject(same);
			// So is it in what is kept of the capture.
			const kept = path("kept.jsonl");
			expect(novacompat("record", failed, "--share", "--output", kept).status).toBe(0);
			expect(readFileSync(kept, "utf8")).not.toContain("Traceback");
			expect(novacompat("replay", kept)).toMatchObject(same);
		});
	});

	test.each([
		[["package.json"], "package.json:1: no recorded message, expected exchange, routing_key and message"],
		[["test/recording/nova/2026.1.vgpufail.failure-1.reply.json"], "no call to send again, 1 reply; expected a "],
		[["test/recording/firehose/oslo-cast.jsonl"], "no call to send again, 1 cast; expected a recording of calls"],
		[["/dev/null"], "no call to send again, no message at all; expected a recording of calls"],
		[["nowhere.jsonl"], "ENOENT"],
	])("%j cannot be replayed", (files, says) => {
		const { status, stderr } = novacompat("replay", ...files);
		expect(status).toBe(64);
		expect(stderr).toContain(says);
	});
});
