import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RpcClient } from "../../../src/messaging/client.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { MAIN, novacompat, novacompatWith } from "../../support/cli.ts";
import { recordingLog } from "../../support/log.ts";
import { askPython } from "../../support/python.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
	const path = join(directory, name);
	writeFileSync(path, text);
	return path;
}

/** `novacompat serve` as a child, once it is ready. */
async function serve(...args: readonly string[]) {
	const child = spawn(process.execPath, [MAIN, "serve", ...args], { stdio: ["ignore", "ignore", "pipe"] });
	onTestFinished(() => void child.kill("SIGKILL"));
	const lines: string[] = [];
	for await (const line of createInterface(child.stderr)) {
		lines.push(line);
		if (line.includes("serving ready")) break;
	}
	return { child, lines };
}

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());

describe("serve --nova-conf: the service and its caller are configured by the same file", () => {
	/** As nova-conductor does, with nothing but nova.conf. */
	const CALL = `
from oslo_config import cfg
import oslo_messaging

oslo_messaging.set_transport_defaults("nova")
cfg.CONF.register_opt(cfg.StrOpt("my_ip"))
cfg.CONF([], default_config_files=question["files"], default_config_dirs=[], project="nova")
# Its thread is no daemon, and the interpreter would wait 10 s for it.
cfg.CONF.set_override("metrics_thread_stop_timeout", 0, group="oslo_messaging_metrics")
client = oslo_messaging.get_rpc_client(
    oslo_messaging.get_rpc_transport(cfg.CONF), oslo_messaging.Target(topic="migration_compat"), timeout=15)
try:
    answer(client.call({}, "check_live_migration", request={}))
except oslo_messaging.RemoteError as error:
    answer(error.exc_type)
except ValueError as error:
    answer(type(error).__name__)`;

	test("a call is answered, on the exchange of nova.conf", { timeout: 60_000 }, async () => {
		const url = broker.url.replace("127.0.0.1", "$my_ip");
		const files = [
			file("nova.conf", `[DEFAULT]\ntransport_url = ${url}?heartbeat_timeout_threshold=10\nmy_ip = 127.0.0.1\n`),
			file("cell2.conf", "[DEFAULT]\ncontrol_exchange = cell2\n[oslo_messaging_rabbit]\nheartbeat_rate = 3\n"),
		];
		const yaml = file("novacompat.yaml", "host: novacompat-1\n");
		const { child, lines } = await serve("--config-file", yaml, ...files.flatMap((path) => ["--nova-conf", path]));
		expect(lines.at(-1)).toContain("serving ready: cell2/migration_compat as server novacompat-1");
		expect(askPython(CALL, { files })).toBe("ValueError");
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});
});

test("use_json: every line is JSON with the fields of oslo.log", { timeout: 60_000 }, async () => {
	const { child, lines } = await serve(
		"--config-file",
		file("json.yaml", `transport_url: ${broker.url}\nuse_json: true\n`),
	);
	expect(lines.map((line) => JSON.parse(line).levelname)).toEqual(["INFO", "INFO"]);
	child.kill("SIGTERM");
	expect(await once(child, "exit")).toEqual([0, null]);
});

test("a recording goes on behind a line that is cut off, on a line of its own", { timeout: 60_000 }, async () => {
	const recording = file("recording.jsonl", '{"time":"2026-01-01T00:');
	const { child } = await serve(
		"--config-file",
		file("recording.yaml", `transport_url: ${broker.url}\nrecording: { file: ${recording} }\n`),
	);
	child.kill("SIGTERM");
	await once(child, "exit");
	expect(readFileSync(recording, "utf8")).toBe('{"time":"2026-01-01T00:\n');
});

test("SEC-14: with a key for RabbitMQ that others can read it does not start", () => {
	const key = file("open.key", "");
	const tls = JSON.stringify({ ssl: true, ssl_cert_file: key, ssl_key_file: key });
	const yaml = file("open-key.yaml", `transport_url: memory://\noslo_messaging_rabbit: ${tls}\n`);
	expect(novacompat("serve", "--config-file", yaml)).toMatchObject({
		status: 78,
		stderr: `novacompat: transport_url: ssl_key_file: ${key} has mode 0644, expected 0600 or 0640\n`,
	});
});

describe("who reads the log is no concern of a check", () => {
	async function withTransport() {
		const yaml = file("log.yaml", `transport_url: ${broker.url}\nhost: novacompat-1\n`);
		const { child } = await serve("--config-file", yaml);
		const { log } = recordingLog();
		const options = RabbitOptions.parse({});
		const transport = new RabbitTransport({ url: parseTransportUrl(broker.url), options, connectionName: "test", log });
		onTestFinished(() => transport.close());
		const target = { exchange: "nova", topic: "migration_compat", version: "1.0" };
		const call = () => new RpcClient(transport).call(target, "check_live_migration", { request: {} }, { timeout: 10 });
		/** Each leaves a line of more than a hundred characters in the log. */
		const garbage = async (count: number) => {
			const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
			const sent = Array.from({ length: count }, () => transport.publish(to, Buffer.from("{"), { timeout: 5_000 }));
			await Promise.all(sent);
		};
		return { child, call, garbage };
	}

	test("nobody reads, and the pipe is full", { timeout: 60_000 }, async () => {
		const { child, call, garbage } = await withTransport();
		child.stderr.pause();
		await garbage(3_000);
		await expect(call()).rejects.toThrow(/request/);
		child.stderr.resume();
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});

	test("the reader is gone", { timeout: 60_000 }, async () => {
		const { child, call, garbage } = await withTransport();
		child.stderr.destroy();
		await garbage(10);
		await expect(call()).rejects.toThrow(/request/);
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});
});

describe("a mistake ends it before anything is opened, with 78 and without the password", () => {
	/** nova.conf, what is said behind its name */
	const MISTAKES: readonly (readonly [novaConf: string, says: string])[] = [
		["[DEFAULT]\ntransport_url = rabbit://u:s3cr3t@h:port/\n", ":2: transport_url has the address"],
		[
			"[DEFAULT]\ntransport_url = rabbit://u:s3cr3t@h/\n[oslo_messaging_rabbit]\nssl = maybe\n",
			":4: ssl: expected true",
		],
		["[DEFAULT]\ntransport_url rabbit//u_s3cr3t@h/\n", ":2: expected [section], key = value or a comment"],
	];
	test.each(MISTAKES)("%j", (text, says) => {
		const novaConf = file("wrong.conf", text);
		const { status, stderr } = novacompat("serve", "--config-file", file("empty.yaml", ""), "--nova-conf", novaConf);
		expect(status).toBe(78);
		expect(stderr).toContain(`novacompat: ${novaConf}${says}`);
		expect(stderr).not.toContain("s3cr3t");
	});
});

describe("serve does not start", () => {
	test("when the environment turns off the verification of certificates", () => {
		const path = file("insecure.yaml", "transport_url: memory://\n");
		const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
		const { status, stderr } = novacompatWith({ env }, "serve", "--config-file", path);
		expect(status).toBe(78);
		expect(stderr).toContain("NODE_TLS_REJECT_UNAUTHORIZED=0 turns off all verification of certificates: unset it");
	});

	test("without the certificates that it is to show", () => {
		const path = file(
			"tls.yaml",
			"transport_url: memory://\nagents: { a: https://192.0.2.1:9301 }\nagent_tls: { ca: no.pem, cert: no.pem, key: no.pem }\n",
		);
		const { status, stderr } = novacompat("serve", "--config-file", path);
		expect(status).toBe(78);
		expect(stderr).toContain(`agent_tls.ca: ${join(directory, "no.pem")}: ENOENT`);
	});
});
