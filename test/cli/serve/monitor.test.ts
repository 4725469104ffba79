import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scanNow } from "../../../src/agent/scan-result.ts";
import { type AgentServer, startAgentServer } from "../../../src/agent/server.ts";
import { ServiceMetrics } from "../../../src/cli/serve/metrics.ts";
import { RpcClient } from "../../../src/messaging/client.ts";
import { sealEnvelope } from "../../../src/messaging/message.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { dumpDom } from "../../support/chromium.ts";
import { MAIN, novacompat, REPOSITORY } from "../../support/cli.ts";
import { recordingLog } from "../../support/log.ts";
import { checkMetrics } from "../../support/promtool.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

const SAMPLES = `${import.meta.dirname}/../../../config/samples/hosts`;
const HOSTS = ["test_compute0", "test_compute1"];
const ACCEPTED = "0002587c-b09d-468a-9995-53d16eeb8a15";
const REFUSED = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";
const REQUEST_ID = "req-6a9c1d2e-3f40-4a5b-8c6d-7e8f90a1b2c3";
const TARGET = { exchange: "nova", topic: "migration_compat", version: "1.0" };

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
const { log } = recordingLog();
let broker: TestBroker;
let agents: readonly AgentServer[];
let transport: RabbitTransport;
let client: RpcClient;
let child: ReturnType<typeof spawn>;
let url: string;

/** The built service on a real bus, with real agents and one that is not there, and a port of its own for HTTP. */
beforeAll(async () => {
	broker = await startRabbitMq();
	agents = await Promise.all(
		HOSTS.map((host) => {
			const scan = { host, sysfsRoot: `${SAMPLES}/${host}/sys`, libvirtDir: `${SAMPLES}/${host}/libvirt` };
			return startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: () => scanNow(scan), log });
		}),
	);
	const urls = HOSTS.map((host, index) => [host, agents[index]?.url]);
	const config = {
		transport_url: broker.url,
		host: "novacompat-1",
		agents: { ...Object.fromEntries(urls), "cmp-down": "http://127.0.0.1:9" },
		http: { listen: "127.0.0.1:0", status_page: true, detailed: true, disable_by_file_path: "disabled" },
		// Where nothing can be written.
		journal: { directory: "/dev/null/journal" },
		oslo_messaging_rabbit: { kombu_missing_consumer_retry_timeout: 0 },
		// No other test asks so often.
		max_checks_per_second_per_host: 50,
	};
	const file = join(directory, "novacompat.yaml");
	writeFileSync(file, JSON.stringify(config));
	child = spawn(process.execPath, [MAIN, "serve", "--config-file", file], { stdio: ["ignore", "ignore", "pipe"] });
	if (child.stderr) {
		for await (const line of createInterface(child.stderr)) {
			url ??= /health and metrics on (\S+), with the status page$/.exec(line)?.[1] ?? "";
			if (line.includes("serving ready")) break;
		}
	}
	const options = RabbitOptions.parse({});
	transport = new RabbitTransport({ url: parseTransportUrl(broker.url), options, connectionName: "test", log });
	client = new RpcClient(transport);
}, 60_000);
afterAll(async () => {
	child?.kill("SIGKILL");
	await client?.close();
	await transport?.close();
	await Promise.all(agents?.map((agent) => agent.close()) ?? []);
	await broker?.stop();
	rmSync(directory, { recursive: true });
});

const check = (instance_uuid: string, dest_host: string, context = {}, timeout = 20) =>
	client.call(
		TARGET,
		"check_live_migration",
		{ request: { instance_uuid, source_host: "test_compute0", dest_host } },
		{ timeout, context },
	);

async function page(path: string): Promise<string> {
	const reply = await fetch(url + path);
	return await reply.text();
}

/** Of one line of the page of metrics; 0 where there is none. */
async function metric(line: string): Promise<number> {
	const found = (await page("/metrics")).split("\n").find((one) => one.startsWith(`${line} `));
	return Number(found?.slice(line.length + 1) ?? 0);
}

describe("what is served", () => {
	/** method, path, status, content type, body */
	const ROUTES: readonly (readonly [string, string, number, string | null, string | RegExp])[] = [
		["GET", "/livez", 200, "text/plain; charset=utf-8", "OK"],
		["HEAD", "/livez", 204, null, ""],
		["GET", "/readyz", 200, "text/plain; charset=utf-8", "OK"],
		["GET", "/healthcheck", 200, "text/plain; charset=utf-8", "OK"],
		["HEAD", "/healthcheck", 204, null, ""],
		["GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", /^# HELP novacompat_checks_total /],
		["GET", "/", 200, "text/html; charset=utf-8", /^<!DOCTYPE html>/],
		["POST", "/", 405, "application/problem+json", /"urn:novacompat:problem:method-not-allowed".*allowed: GET/],
		["GET", "/nothing", 404, "application/problem+json", /served are \/, \/livez, \/readyz, \/healthcheck, \/metrics/],
		["GET", "/?host=x", 404, "application/problem+json", /not-found/],
		["GET", "/constructor", 404, "application/problem+json", /not-found/],
	];
	test.each(ROUTES)("%s %s is %i", async (method, path, status, type, body) => {
		const reply = await fetch(url + path, { method });
		expect([reply.status, reply.headers.get("Content-Type")]).toEqual([status, type]);
		expect(reply.headers.get("Cache-Control")).toBe("no-store");
		if (typeof body === "string") expect(await reply.text()).toBe(body);
		else expect(await reply.text()).toMatch(body);
	});

	test("the page may neither be framed nor be taken for anything else", async () => {
		const { headers } = await fetch(`${url}/`);
		expect(headers.get("Content-Security-Policy")).toBe("frame-ancestors 'none'");
		expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
		expect(headers.get("Referrer-Policy")).toBe("no-referrer");
	});

	/** What the browser of a visitor of a foreign site sends, whose name leads here. */
	test.each([
		["evil.example", 421],
		["evil.example:9876", 421],
		["127.0.0.1.evil.example", 421],
		["localhost:9876", 200],
		["[::1]:9876", 200],
		[hostname(), 200],
	])("the page for Host %j: %i", async (host, status) => {
		const sent = request(`${url}/`, { headers: { Host: host } }).end();
		const [reply] = await once(sent, "response");
		reply.resume();
		expect(reply.statusCode).toBe(status);
	});

	/** Then `Host` means nothing. */
	test.each([
		["http://evil.example/", "localhost", 421],
		["http://localhost@evil.example/", "localhost", 421],
		["http://localhost:9876/", "evil.example", 200],
	])("the page at %s for Host %j: %i", async (path, host, status) => {
		const sent = request(url, { path, headers: { Host: host } }).end();
		const [reply] = await once(sent, "response");
		reply.resume();
		expect(reply.statusCode).toBe(status);
	});
});

describe("what is counted", () => {
	const name = (outcome: string) => `novacompat_messages_total{outcome="${outcome}"}`;
	const to = { kind: "topic", exchange: "nova", key: "migration_compat" } as const;
	const send = (body: Buffer) => transport.publish(to, body, { timeout: 5_000 });
	const call = (method: string, args: object, version = "1.0") =>
		client.call({ ...TARGET, version }, method, { ...args }, { timeout: 20 }).catch(() => undefined);
	const flooding = { instance_uuid: ACCEPTED, source_host: "flooder", dest_host: "test_compute1" };
	const ping = { method: "oslo_rpc_server_ping", args: {}, version: "1.0", _unique_id: "0123456789abcdef" };

	const UNREADABLE = ["check_can_live_migrate_destination", { instance: null }, "6.0"] as const;

	const CAUSES: readonly (readonly [line: string, cause: () => Promise<unknown>])[] = [
		[name("ok"), () => check(ACCEPTED, "test_compute1")],
		[name("invalid"), () => send(Buffer.from("{"))],
		[name("invalid"), () => call("check_live_migration", { wrong: 1 })],
		[name("oversize"), () => send(Buffer.alloc(4 * 1024 * 1024 + 1, " "))],
		[name("unsupported_version"), () => call("check_live_migration", {}, "9.0")],
		[name("unknown_method"), () => call("no_such_method", {})],
		[name("duplicate"), () => Promise.all([send(sealEnvelope(ping)), send(sealEnvelope(ping))])],
		['novacompat_replies_total{outcome="confirmed"}', () => check(ACCEPTED, "test_compute1")],
		[
			'novacompat_replies_total{outcome="returned"}',
			() => send(sealEnvelope({ ...ping, _unique_id: "1", _msg_id: "m", _reply_q: "reply_gone" })),
		],
		[
			'novacompat_replies_total{outcome="dropped"}',
			() => send(sealEnvelope({ ...ping, _unique_id: "2", _msg_id: "m", _reply_q: "nova" })),
		],
		['novacompat_checks_total{role="service",verdict="accept"}', () => check(ACCEPTED, "test_compute1")],
		['novacompat_checks_total{role="service",verdict="reject"}', () => check(REFUSED, "test_compute1")],
		['novacompat_checks_total{role="service",verdict="unknown"}', () => check(ACCEPTED, "cmp-down")],
		['novacompat_checks_total{role="service",verdict="unknown"}', () => call(...UNREADABLE)],
		['novacompat_reasons_total{code="request.invalid"}', () => call(...UNREADABLE)],
		['novacompat_reasons_total{code="version.minor_downgrade"}', () => check(REFUSED, "test_compute1")],
		["novacompat_check_duration_seconds_count", () => check(ACCEPTED, "test_compute1")],
		["novacompat_journal_entries_dropped_total", () => check(ACCEPTED, "test_compute1")],
		[
			"novacompat_unsafe_keys_total",
			() => call("check_live_migration", { request: { ...flooding, source_host: "x", constructor: "x" } }),
		],
		["novacompat_snapshot_age_seconds_count", () => check(ACCEPTED, "test_compute1")],
		['novacompat_agent_requests_total{outcome="agent.unconfigured"}', () => check(ACCEPTED, "stranger")],
		["novacompat_agent_request_duration_seconds_count", () => check(ACCEPTED, "stranger")],
		[
			'novacompat_rate_limited_total{limit="max_checks_per_second_per_host"}',
			() => Promise.all(Array.from({ length: 500 }, () => call("check_live_migration", { request: flooding }))),
		],
	];
	test.each(CAUSES)("%s", async (line, cause) => {
		const before = await metric(line);
		await cause();
		await expect.poll(() => metric(line)).toBeGreaterThan(before);
	});

	test("the agent that is not there: its breaker opens when it has failed often enough", {
		timeout: 120_000,
	}, async () => {
		const open = 'novacompat_agent_breaker_state{state="open"}';
		await expect.poll(() => check(ACCEPTED, "cmp-down").then(() => metric(open)), { timeout: 100_000 }).toBe(1);
	});

	test("agents are counted by the state of their breaker", async () => {
		const hosts = (["closed", "quiet", "quiet", "open"] as const).map((breaker, number) => {
			return { host: `cmp-${number}`, breaker };
		});
		const nothing = {
			server: undefined,
			rateLimited: undefined,
			buses: [],
			shadows: [],
			unsafeKeys: 0,
			systemic: false,
		};
		const reloads = { success: 0, failure: 0, last_success: 0 };
		const lost = { logLines: 0, journalEntries: undefined };
		const text = await new ServiceMetrics().render({ ...nothing, hosts, reloads, certificates: {}, lost });
		const counts = Array.from(text.matchAll(/^novacompat_agent_breaker_state\{state="(\w+)"\} (\d+)$/gm));
		expect(counts.map(([, state, count]) => `${state} ${count}`)).toEqual(["closed 1", "quiet 2", "open 1"]);
	});

	test("promtool finds nothing wrong, and nobody finds a host or an id", async () => {
		const text = await page("/metrics");
		expect(checkMetrics(text)).toBe("");
		for (const secret of [...HOSTS, "cmp-down", ACCEPTED, REFUSED, "novacompat-1", hostname()]) {
			expect(text).not.toContain(`"${secret}"`);
		}
		const documented = readFileSync(`${REPOSITORY}config/README.md`, "utf8");
		for (const [, name] of text.matchAll(/^# TYPE (\S+) /gm)) expect(documented).toContain(`\`${name}\``);
		expect(await metric(`novacompat_build_info{version="0.1.0",commit="unknown"}`)).toBe(1);
	});
});

test("the page in Chromium: decisions, reasons, ids, agents, heat map", async () => {
	const context = { request_id: REQUEST_ID, auth_token: "canary-s3cr3t", user_id: "canary-user" };
	await check(REFUSED, "test_compute1", context);
	await check(ACCEPTED, "cmp-down", context);
	// It is made every two seconds at most.
	await expect.poll(() => page("/")).toContain(REQUEST_ID);
	const dom = dumpDom(`${url}/`);
	const text = dom.replace(/<style>.*?<\/style>/s, "").replace(/<[^>]+>/g, " ");
	expect(text).toMatch(/ready.*Recent checks.*Agents.*Which host takes which devices.*Buses/s);
	expect(text).toMatch(/unknown, refused .*test_compute0.*→ cmp-down.*agent\.unreachable .*ECONNREFUSED/s);
	expect(text).toMatch(/version\.minor_downgrade +software_version 1\.3\.0 needs at least 1\.3; test_compute1/);
	expect(text).toContain(REFUSED);
	expect(text).not.toContain("canary");
	expect(dom).toMatch(/<td class="reject" title="test_compute0 -(>|&gt;) test_compute1: reject\n/);
});

async function status(path: string): Promise<readonly [number, string]> {
	const reply = await fetch(url + path);
	return [reply.status, await reply.text()];
}

test("broker that takes no messages: alive and not ready, until it takes them again", async () => {
	// RabbitMQ tells it to who has something to send: a reply, of which the request came before.
	child.kill("SIGSTOP");
	const answer = check(ACCEPTED, "test_compute1", {}, 120).catch(() => "came too late");
	const queued = () => broker.ctl("list_queues", "name", "messages");
	try {
		await expect.poll(queued).toMatch(/^migration_compat\t1$/m);
		await broker.ctl("set_vm_memory_high_watermark", "absolute", "1");
		child.kill("SIGCONT");
		await expect.poll(() => status("/readyz")).toEqual([503, "service: RabbitMQ takes no messages"]);
		expect(await status("/livez")).toEqual([200, "OK"]);
	} finally {
		child.kill("SIGCONT");
		await broker.ctl("set_vm_memory_high_watermark", "0.4");
	}
	await expect.poll(() => status("/readyz")).toEqual([200, "OK"]);
	await answer;
});

test("broker away: alive and not ready; broker back: ready", async () => {
	const reconnects = () => metric('novacompat_amqp_reconnects_total{role="service"}');
	// The broker may have lost one that was stopped for long.
	const before = await reconnects();
	await broker.kill();
	await expect.poll(() => status("/readyz")).toEqual([503, "service: no connection to RabbitMQ"]);
	expect(await status("/healthcheck")).toEqual([503, "service: no connection to RabbitMQ"]);
	expect(await status("/livez")).toEqual([200, "OK"]);
	expect(await metric('novacompat_amqp_connected{role="service"}')).toBe(0);
	await broker.start();
	await expect.poll(() => status("/readyz")).toEqual([200, "OK"]);
	expect(await reconnects()).toBe(before + 1);
});

test("a file takes it out; in detail it says how it stands with the broker", async () => {
	const headers = { Accept: "application/json" };
	const answer = async (path: string) => {
		const reply = await fetch(url + path, { headers });
		return [reply.status, await reply.json()];
	};
	const details = expect.stringMatching(/^service: connected \S.*, connections \d+, consuming true, blocked false$/);
	const said = (reason: string) => ({ detailed: true, reasons: [{ class: "HealthcheckResult", reason, details }] });
	expect(await answer("/healthcheck")).toEqual([200, said("OK")]);
	writeFileSync(join(directory, "disabled"), "");
	expect(await answer("/healthcheck")).toEqual([503, said("DISABLED BY FILE")]);
	expect(await answer("/readyz")).toEqual([503, said("DISABLED BY FILE")]);
	expect(await answer("/livez")).toEqual([200, { detailed: false, reasons: ["OK"] }]);
	rmSync(join(directory, "disabled"));
	expect(await answer("/healthcheck")).toEqual([200, said("OK")]);
});

test("an address that is taken ends the start, and nothing is opened", () => {
	const file = join(directory, "taken.yaml");
	const port = new URL(url).port;
	writeFileSync(file, JSON.stringify({ transport_url: broker.url, http: { listen: `127.0.0.1:${port}` } }));
	const { status, stderr } = novacompat("serve", "--config-file", file);
	expect(stderr).toBe(`novacompat: listen EADDRINUSE: address already in use 127.0.0.1:${port}\n`);
	expect(status).toBe(64);
});
