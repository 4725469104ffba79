import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { answer, type Sources } from "../../src/agent/routes.ts";
import { type ScanResult, SnapshotUnavailable } from "../../src/agent/scan-result.ts";
import { NO_SCANS } from "../../src/agent/scanner.ts";
import { type AgentServerOptions, startAgentServer } from "../../src/agent/server.ts";
import { MAX_PER_SECOND } from "../../src/http/pace.ts";
import { createLogger } from "../../src/log/logger.ts";
import type { Snapshot, SnapshotDevice } from "../../src/snapshot/snapshot.ts";
import { osloJson, recordingLog } from "../support/log.ts";
import { ownTime } from "../support/own-time.ts";

const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";
const OTHER = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
const DEVICE: SnapshotDevice = {
	id: "0000:3b:10.0",
	kind: "pci",
	capacity: 1,
	instance: UUID,
	alias: "hostdev0",
	guest_address: "0000:05:00.0",
	attributes: { vendor: "8086" },
	unreadable: {},
};
const SNAPSHOT: Snapshot = { schema_version: "1.3", host: "test_compute0", generation: 3, devices: [DEVICE] };
const BODY = JSON.stringify(SNAPSHOT);
const ETAG = '"0123456789abcdef.3"';

/** What was found a second ago. */
function result(): ScanResult {
	return { body: Buffer.from(BODY), etag: ETAG, running: new Set([UUID]), collectedAt: performance.now() - 1_500 };
}

async function agent(latest: AgentServerOptions["latest"] = result) {
	const lines: string[] = [];
	const log = createLogger(
		"novacompat.test",
		true,
		(line) => lines.push(line.trimEnd()),
		({ level, message, errorSummary, traceback = [] }) =>
			[`${level} ${message} ${errorSummary ?? ""}`.trimEnd(), ...traceback].join("\n"),
	);
	const { url, close } = await startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest, log });
	onTestFinished(close);
	const closed = (count: number) => expect.poll(() => lines.length).toBe(count);
	return { url, lines, closed, close };
}

/** Every route: status, content type, body. */
const rows: readonly [method: string, path: string, status: number, type: string | null, body: string | RegExp][] = [
	["GET", "/v1/snapshot", 200, "application/json", BODY],
	[
		"GET",
		`/v1/instances/${UUID}/devices`,
		200,
		"application/json",
		JSON.stringify({ instance: UUID, running: true, devices: [DEVICE] }),
	],
	[
		"GET",
		`/v1/instances/${OTHER}/devices`,
		200,
		"application/json",
		JSON.stringify({ instance: OTHER, running: false, devices: [] }),
	],
	["GET", `/v1/instances/${UUID.toUpperCase()}/devices`, 400, "application/problem+json", /expected the uuid/],
	["GET", "/v1/instances/constructor/devices", 400, "application/problem+json", /expected the uuid/],
	["GET", "/v1/instances/..%2f..%2fetc/devices", 400, "application/problem+json", /bad-request/],
	["GET", `/v1/instances/${UUID}`, 404, "application/problem+json", /not-found/],
	["DELETE", `/v1/instances/${UUID}/devices`, 405, "application/problem+json", /method-not-allowed/],
	["GET", "/", 200, "application/json", /"min_version":"1.0","max_version":"1.3"/],
	["GET", "/metrics", 200, "text/plain; version=0.0.4; charset=utf-8", /^novacompat_agent_snapshot_age_seconds 1\./m],
	["GET", "/livez", 200, "text/plain; charset=utf-8", "OK"],
	["GET", "/readyz", 200, "text/plain; charset=utf-8", "OK"],
	["GET", "/healthcheck", 200, "text/plain; charset=utf-8", "OK"],
	["HEAD", "/healthcheck", 204, null, ""],
	[
		"POST",
		"/v1/snapshot",
		405,
		"application/problem+json",
		/"urn:novacompat:problem:method-not-allowed".*"status":405/,
	],
	["DELETE", "/healthcheck", 405, "application/problem+json", /method-not-allowed/],
	["GET", "/v2", 404, "application/problem+json", /"urn:novacompat:problem:not-found".*"status":404/],
	["GET", "/v1/snapshot/", 404, "application/problem+json", /not-found/],
	["GET", "/v1/snapshot?root=/etc", 404, "application/problem+json", /not-found/],
	["GET", "/constructor", 404, "application/problem+json", /not-found/],
	["HEAD", "/nothing", 404, "application/problem+json", ""],
];
test.each(rows)("%s %s is %i", async (method, path, status, type, body) => {
	const { url } = await agent();
	const response = await fetch(url + path, { method });
	const text = await response.text();
	expect(response.status).toBe(status);
	expect(response.headers.get("Content-Type")).toBe(type);
	expect(response.headers.get("Cache-Control")).toBe("no-store");
	if (typeof body === "string") expect(text).toBe(body);
	else expect(text).toMatch(body);
});

test.each([
	["/v1/snapshot", "GET"],
	["/healthcheck", "GET, HEAD"],
])("405 at %s allows %s", async (path, allow) => {
	const { url } = await agent();
	expect((await fetch(url + path, { method: "PUT", body: "x" })).headers.get("Allow")).toBe(allow);
});

describe("GET /v1/snapshot", () => {
	test("names its version and its age", async () => {
		const started = performance.now();
		const { headers } = await fetch(`${(await agent()).url}/v1/snapshot`);
		const age = Number(headers.get("Collected-Age-Ms"));
		expect(headers.get("ETag")).toBe(ETAG);
		expect(age).toBeGreaterThanOrEqual(1_500);
		expect(age).toBeLessThanOrEqual(1_501 + performance.now() - started);
		expect(headers.get("Content-Encoding")).toBeNull();
	});

	const conditions: readonly [ifNoneMatch: string, status: number][] = [
		[ETAG, 304],
		[`W/${ETAG}`, 304],
		[`"other", ${ETAG}`, 304],
		["*", 304],
		['"other"', 200],
		[ETAG.replaceAll('"', ""), 200],
	];
	test.each(conditions)("If-None-Match: %s is %i", async (ifNoneMatch, status) => {
		const response = await fetch(`${(await agent()).url}/v1/snapshot`, { headers: { "If-None-Match": ifNoneMatch } });
		expect(response.status).toBe(status);
		expect(response.headers.get("ETag")).toBe(ETAG);
		expect(Number(response.headers.get("Collected-Age-Ms"))).toBeGreaterThanOrEqual(1_000);
		expect(await response.text()).toBe(status === 304 ? "" : BODY);
	});

	test("compression is not offered", async () => {
		const { url } = await agent();
		const { headers } = await fetch(`${url}/v1/snapshot`, { headers: { "Accept-Encoding": "gzip, br" } });
		expect(headers.get("Content-Encoding")).toBeNull();
	});

	test("a large body comes whole", async () => {
		const body = Buffer.alloc(3_000_001, "x");
		const { url } = await agent(() => ({ ...result(), body }));
		expect(Buffer.from(await (await fetch(`${url}/v1/snapshot`)).arrayBuffer()).equals(body)).toBe(true);
	});
});

test("devices of instances are read once of a scan, however many are asked for", async () => {
	const found = result();
	const { url } = await agent(() => found);
	const parse = vi.spyOn(JSON, "parse");
	onTestFinished(() => parse.mockRestore());
	for (const instance of [UUID, UUID, OTHER]) {
		await (await fetch(`${url}/v1/instances/${instance}/devices`)).text();
	}
	expect(parse.mock.calls.filter(([text]) => text === BODY)).toHaveLength(1);
});

describe("before the first scan has ended", () => {
	const nothing = () => {
		throw new SnapshotUnavailable("no scan has ended yet");
	};

	test("there is a 503 that names the cause and when to ask again", async () => {
		const { url } = await agent(nothing);
		for (const path of ["/v1/snapshot", `/v1/instances/${UUID}/devices`]) {
			const response = await fetch(url + path);
			expect(response.status).toBe(503);
			expect(response.headers.get("Retry-After")).toBe("5");
			expect(await response.json()).toEqual({
				type: "urn:novacompat:problem:snapshot-unavailable",
				title: "The devices of this host cannot be read",
				status: 503,
				detail: "no scan has ended yet",
			});
		}
	});

	test("the agent is not healthy, and says so as oslo.middleware does", async () => {
		const { url } = await agent(nothing);
		const text = await fetch(`${url}/healthcheck`);
		expect([text.status, await text.text()]).toEqual([503, "no scan has ended yet"]);
		const json = await fetch(`${url}/healthcheck`, { headers: { Accept: "application/json" } });
		expect([json.status, await json.json()]).toEqual([503, { detailed: false, reasons: ["no scan has ended yet"] }]);
		expect((await fetch(`${url}/healthcheck`, { method: "HEAD" })).status).toBe(503);
		expect(await (await fetch(`${url}/metrics`)).text()).not.toMatch(/^novacompat_agent_snapshot_age_seconds/m);
	});
});

test("an agent whose scans have stopped is not healthy", async () => {
	const { url } = await agent(() => ({ ...result(), collectedAt: performance.now() - 121_000 }));
	const response = await fetch(`${url}/healthcheck`);
	expect([response.status, await response.text()]).toEqual([503, "the last scan ended 121 s ago"]);
	expect((await fetch(`${url}/v1/snapshot`)).status).toBe(200);
});

test("a bug ends the connection and is told with its stack", async () => {
	const { url, lines } = await agent(() => {
		throw new TypeError("a bug");
	});
	await expect(fetch(`${url}/v1/snapshot`)).rejects.toThrow();
	expect(lines.join("\n")).toMatch(/^error request failed TypeError: a bug\n +at /m);
});

describe("one debug line per request", () => {
	/** What a program reads of it. */
	const lineOf = async (headers: Readonly<Record<string, string>>) => {
		const lines: string[] = [];
		const log = createLogger("novacompat.test", true, (line) => lines.push(line), osloJson);
		const { url, close } = await startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: result, log });
		onTestFinished(close);
		await fetch(`${url}/healthcheck`, { headers });
		await expect.poll(() => lines.length).toBe(1);
		return JSON.parse(lines[0] ?? "");
	};

	test("says what was asked and how it was answered", async () => {
		const { levelname, message, context, extra } = await lineOf({});
		expect(message).toMatch(/^GET "\/healthcheck" 200 in \d+\.\d ms$/);
		expect([levelname, context, extra]).toEqual(["DEBUG", {}, {}]);
	});

	const id = "req-6a9c1d2e-3f40-4a5b-8c6d-7e8f90a1b2c3";
	const global = "req-11f7afc4-8f0e-4b0e-9d3e-5d7a3c1a5f42";
	/** request id, global request id; both in the line */
	test.each([
		[id, undefined, id, null],
		[id, global, id, global],
		["req-forged", undefined, undefined, undefined],
		["req-forged", global, global, global],
		[id, `${global} ERROR forged`, id, null],
		[`${id} ERROR forged`, undefined, undefined, undefined],
	])("request id %s, global %s are logged as %s, %s", async (sent, sentGlobal, request_id, global_request_id) => {
		const { context } = await lineOf({
			"X-Openstack-Request-Id": sent,
			...(sentGlobal !== undefined && { "X-OpenStack-Global-Request-ID": sentGlobal }),
		});
		expect([context.request_id, context.global_request_id]).toEqual([request_id, global_request_id]);
	});

	const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	test.each([
		[TRACEPARENT, { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736", span_id: "00f067aa0ba902b7" }],
		[`${TRACEPARENT} ERROR forged`, {}],
	])("traceparent %s is logged as %j", async (traceparent, logged) => {
		const { extra } = await lineOf({ traceparent });
		expect(extra).toEqual(logged);
	});
});

describe("the healthcheck in detail", () => {
	const NO_CERTIFICATE = { scans: NO_SCANS, answers: new Map<number, number>(), connections: 0, tls: undefined };
	const certificate = { taken: 1, refused: 0, expiry: Date.UTC(2027, 1, 3, 4, 5, 6) / 1000 };
	const fails = () => {
		throw new SnapshotUnavailable("no scan has been good yet: the log of the agent says why");
	};
	const old = () => ({ ...result(), collectedAt: performance.now() - 121_000 });
	const good = "last good scan: ended 1 s ago";

	/** what is known, status, reason, details */
	const ROWS: readonly (readonly [Partial<Sources>, number, string, string])[] = [
		[
			{ counts: () => ({ ...NO_CERTIFICATE, scans: { ...NO_SCANS, done: 3, last: "done" } }) },
			200,
			"OK",
			`last scan: done; ${good}; certificate: none`,
		],
		[
			{ counts: () => ({ ...NO_CERTIFICATE, scans: { ...NO_SCANS, done: 3, overrun: 1, last: "overrun" } }) },
			200,
			"OK",
			`last scan: overrun; ${good}; certificate: none`,
		],
		[
			{ counts: () => ({ ...NO_CERTIFICATE, tls: certificate }) },
			200,
			"OK",
			`last scan: none; ${good}; certificate: ends 2027-02-03T04:05:06.000Z`,
		],
		[
			{ latest: fails, counts: () => ({ ...NO_CERTIFICATE, scans: { ...NO_SCANS, failed: 1, last: "failed" } }) },
			503,
			"no scan has been good yet: the log of the agent says why",
			"last scan: failed; last good scan: none; certificate: none",
		],
		[
			{ latest: old },
			503,
			"the last scan ended 121 s ago",
			"last scan: none; last good scan: ended 121 s ago; certificate: none",
		],
	];
	test.each(ROWS)("%j: %i %s", async (known, status, reason, details) => {
		const asked = { accept: "application/json", ifNoneMatch: undefined, host: "" };
		const recent = () => ({ ...result(), collectedAt: performance.now() - 1_000 });
		const sources = { latest: recent, counts: () => NO_CERTIFICATE, detailed: true, ...known };
		const { body, ...answered } = await answer("GET", "/healthcheck", asked, sources);
		expect(answered).toMatchObject({ status, type: "application/json" });
		const detailed = { detailed: true, reasons: [{ class: "HealthcheckResult", reason, details }] };
		expect(JSON.parse(String(body))).toEqual(detailed);
		const brief = await answer("GET", "/healthcheck", asked, { ...sources, detailed: false });
		expect(JSON.parse(String(brief.body))).toEqual({ detailed: false, reasons: [reason] });
	});
});

/** Sends text as it is and gives back everything that is answered. */
function exchange(url: string, text: string): Promise<string> {
	return new Promise((resolve, reject) => {
		const socket = connect(Number(new URL(url).port), "127.0.0.1", () => socket.write(text));
		const chunks: Buffer[] = [];
		socket.on("data", (chunk: Buffer) => chunks.push(chunk));
		socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
		socket.on("error", reject);
	});
}

describe("requests that cannot be parsed", () => {
	test.each([
		["hello\r\n\r\n", "400 Bad Request", "bad-request"],
		[`GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}\r\n\r\n`, "431 Request Header Fields Too Large", "header-too-large"],
	])("%.10s", async (text, status, name) => {
		const { url } = await agent();
		const answer = await exchange(url, text);
		expect(answer).toContain(`HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Type: application/problem+json`);
		expect(answer).toContain(`"urn:novacompat:problem:${name}"`);
	});

	test("a header that never ends is cut off after 5 s", async () => {
		const { url } = await agent();
		const passed = ownTime();
		const answer = await exchange(url, "GET / HTTP/1.1\r\nX: ");
		expect(answer).toContain("408 Request Timeout");
		// Node.js looks once a second.
		expect(passed()).toBeLessThan(7_000);
	});
});

test.each([
	[63, "200 OK"],
	[64, "431 Request Header Fields Too Large"],
	[999, "431 Request Header Fields Too Large"],
])("at most 64 headers: Host behind %i others is %s", async (others, status) => {
	const { url } = await agent();
	const head = `GET /livez HTTP/1.1\r\nConnection: close\r\n${"a:b\r\n".repeat(others - 1)}Host: cmp-01\r\n\r\n`;
	expect(await exchange(url, head)).toContain(`HTTP/1.1 ${status}\r\n`);
});

describe("what node:http would answer itself", () => {
	test.each([
		["GET /livez HTTP/1.1\r\n", "400 Bad Request", "bad-request"],
		["GET /livez HTTP/1.1\r\nHost: cmp-01\r\nExpect: foo\r\n", "417 Expectation Failed", "expectation-failed"],
	])("%j is a problem", async (head, status, name) => {
		const { url } = await agent();
		const answer = await exchange(url, `${head}Connection: close\r\n\r\n`);
		expect(answer).toContain(
			`HTTP/1.1 ${status}\r\nCache-Control: no-store\r\nContent-Type: application/problem+json\r\nContent-Length: `,
		);
		expect(answer).toContain(`"urn:novacompat:problem:${name}"`);
	});

	test.each([
		"GET /livez HTTP/1.0\r\n",
		"GET /livez HTTP/1.1\r\nHost: cmp-01\r\nExpect: 100-continue\r\nConnection: close\r\n",
		"GET http://cmp-01/livez HTTP/1.1\r\nHost: cmp-01\r\nConnection: close\r\n",
		"GET HTTP://cmp-01:8775 HTTP/1.1\r\nHost: cmp-01\r\nConnection: close\r\n",
	])("%j is answered", async (head) => {
		const { url } = await agent();
		expect(await exchange(url, `${head}\r\n`)).toContain("HTTP/1.1 200 OK\r\n");
	});
});

test("close ends idle connections, also one that has sent nothing", async () => {
	const { url, close } = await agent();
	const silent = exchange(url, "");
	await fetch(`${url}/healthcheck`);
	await close();
	expect(await silent).toBe("");
	await expect(fetch(`${url}/healthcheck`)).rejects.toThrow();
});

test("who asks while 64 answers are on their way shall ask again", async () => {
	const body = Buffer.alloc(16 * 1024 * 1024, "x");
	const { url } = await agent(() => ({ ...result(), body }));
	const greedy = Array.from({ length: 64 }, () => connect(Number(new URL(url).port), "127.0.0.1"));
	onTestFinished(() => {
		for (const socket of greedy) socket.destroy();
	});
	// They take a part of the answer and no more.
	for (const socket of greedy) {
		socket.on("error", () => undefined).write("GET /v1/snapshot HTTP/1.1\r\nHost: cmp-01\r\n\r\n");
		await once(socket, "readable");
	}
	const response = await fetch(`${url}/healthcheck`);
	expect(response.status).toBe(503);
	expect(response.headers.get("Retry-After")).toBe("1");
	expect(await response.json()).toMatchObject({ type: "urn:novacompat:problem:overloaded" });
	greedy[0]?.destroy();
	await expect.poll(async () => (await fetch(`${url}/healthcheck`)).status).toBe(200);
});

test("an address that asks too often has to wait for its answer, others have not", async () => {
	const { url } = await agent();
	const clock = vi.spyOn(performance, "now").mockReturnValue(1_000);
	onTestFinished(() => clock.mockRestore());
	const connections = new Agent({ keepAlive: true });
	onTestFinished(() => connections.destroy());
	const ask = async (localAddress: string) => {
		const { port } = new URL(url);
		const from = { host: "127.0.0.1", port, path: "/healthcheck", localAddress, agent: connections };
		const [response] = (await once(get(from), "response")) as [IncomingMessage];
		const { statusCode: status, headers } = response;
		return { status, again: headers["retry-after"], body: (await response.toArray()).join("") };
	};
	for (let number = 0; number < MAX_PER_SECOND; number++) expect((await ask("127.0.0.1")).status).toBe(200);
	const started = Date.now();
	const late = ask("127.0.0.1");
	expect((await ask("127.0.0.2")).status).toBe(200);
	const { status, again, body } = await late;
	expect({ status, again }).toEqual({ status: 503, again: "1" });
	expect(body).toContain("at most 500 of one address are answered in a second");
	expect(Date.now() - started).toBeGreaterThanOrEqual(990);
});

test("a port in use is a fault of the start", async () => {
	const { url } = await agent();
	const listen = { address: "127.0.0.1", port: Number(new URL(url).port) };
	const { log } = recordingLog();
	await expect(startAgentServer({ listen, latest: result, log })).rejects.toThrow("EADDRINUSE");
});
