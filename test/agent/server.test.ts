import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type AgentServerOptions, startAgentServer } from "../../src/agent/server.ts";
import { SysfsError } from "../../src/agent/sysfs.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";

const SNAPSHOT: Snapshot = { schema_version: "1.0", host: "test_compute0", devices: [] };

async function agent(snapshot: AgentServerOptions["snapshot"] = () => SNAPSHOT) {
	const lines: string[] = [];
	const to = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
	const log = { debug: to("debug"), info: to("info"), warning: to("warning"), error: to("error") };
	const { url, close } = await startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, snapshot, log });
	onTestFinished(close);
	const closed = (count: number) => expect.poll(() => lines.length).toBe(count);
	return { url, lines, closed, close };
}

/** Every route: status, content type, body. */
const rows: readonly [method: string, path: string, status: number, type: string | null, body: string | RegExp][] = [
	["GET", "/v1/snapshot", 200, "application/json", JSON.stringify(SNAPSHOT)],
	["GET", "/healthcheck", 200, "text/plain", "OK"],
	["HEAD", "/healthcheck", 204, null, ""],
	[
		"POST",
		"/v1/snapshot",
		405,
		"application/problem+json",
		/"urn:novacompat:problem:method-not-allowed".*"status":405/,
	],
	["DELETE", "/healthcheck", 405, "application/problem+json", /method-not-allowed/],
	["GET", "/", 404, "application/problem+json", /"urn:novacompat:problem:not-found".*"status":404/],
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

describe("a scan that throws", () => {
	test("is a 503 that names the cause and shows no stack; the next scan may succeed", async () => {
		let broken = true;
		const { url, lines } = await agent(() => {
			if (broken) throw new SysfsError("sysfs root /sys has no bus directory");
			return SNAPSHOT;
		});
		const response = await fetch(`${url}/v1/snapshot`);
		expect(response.status).toBe(503);
		expect(await response.json()).toEqual({
			type: "urn:novacompat:problem:snapshot-unavailable",
			title: "The devices of this host cannot be read",
			status: 503,
			detail: "sysfs root /sys has no bus directory",
		});
		expect(lines[0]).toBe("error snapshot failed: sysfs root /sys has no bus directory");
		broken = false;
		expect((await fetch(`${url}/v1/snapshot`)).status).toBe(200);
	});
});

describe("one debug line per request", () => {
	const id = "req-6a9c1d2e-3f40-4a5b-8c6d-7e8f90a1b2c3";
	test.each([
		[id, id],
		["req-forged", "-"],
		[`${id} ERROR forged`, "-"],
		[undefined, "-"],
	])("request id %s is logged as %s", async (sent, logged) => {
		const { url, lines, closed } = await agent();
		await fetch(`${url}/healthcheck`, { headers: sent === undefined ? {} : { "X-Openstack-Request-Id": sent } });
		await closed(1);
		expect(lines[0]).toMatch(/^debug \[[^\]]+\] GET "\/healthcheck" 200 in \d+\.\d ms$/);
		expect(lines[0]).toContain(`[${logged}]`);
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
		expect(answer).toContain(`HTTP/1.1 ${status}\r\nContent-Type: application/problem+json`);
		expect(answer).toContain(`"urn:novacompat:problem:${name}"`);
	});

	test("a header that never ends is cut off after 5 s", { timeout: 10_000 }, async () => {
		const { url } = await agent();
		const answer = await exchange(url, "GET / HTTP/1.1\r\nX: ");
		expect(answer).toContain("408 Request Timeout");
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

test("a port in use is a fault of the start", async () => {
	const { url } = await agent();
	const listen = { address: "127.0.0.1", port: Number(new URL(url).port) };
	const log = { debug() {}, info() {}, warning() {}, error() {} };
	await expect(startAgentServer({ listen, snapshot: () => SNAPSHOT, log })).rejects.toThrow("EADDRINUSE");
});
