import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { AgentSource } from "../../src/snapshot/agent-source.ts";
import type { SnapshotError } from "../../src/snapshot/source.ts";

const SNAPSHOT = { schema_version: "1.0", host: "cmp-01", devices: [] };
const json =
	(body: unknown, status = 200): RequestListener =>
	(_request, response) => {
		response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
	};

const servers: Server[] = [];
afterEach(() => {
	for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function serve(listener: RequestListener): Promise<URL> {
	const server = createServer(listener);
	servers.push(server);
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

const ask = (url: URL, options: { timeout?: number; signal?: AbortSignal; request_id?: string } = {}) =>
	new AgentSource(new Map([["cmp-01", url]]), options.timeout ?? 5).fetch("cmp-01", {
		signal: options.signal ?? new AbortController().signal,
		request_id: options.request_id,
	});
const failure = (url: URL, options = {}): Promise<SnapshotError> =>
	ask(url, options).then(
		() => Promise.reject(new Error("an answer")),
		(error: SnapshotError) => error,
	);

test("the snapshot, asked for with the request id", async () => {
	const headers: unknown[] = [];
	const url = await serve((request, response) => {
		headers.push([
			request.method,
			request.url,
			request.headers["x-openstack-request-id"],
			request.headers["accept-encoding"],
		]);
		json(SNAPSHOT)(request, response);
	});
	expect(await ask(url, { request_id: "req-1" })).toEqual(SNAPSHOT);
	expect(headers).toEqual([["GET", "/v1/snapshot", "req-1", "identity"]]);
});

test("fields of a newer minor version are ignored", async () => {
	const newer = { ...SNAPSHOT, schema_version: "1.7", generation: 4 };
	expect(await ask(await serve(json(newer)))).toEqual({ ...SNAPSHOT, schema_version: "1.7" });
});

describe("answers that are no snapshot", () => {
	const device = { id: "0000:3b:00.2", kind: "pci", capacity: 1, attributes: {}, unreadable: {} };
	/** what the agent does, code, a piece of the message */
	const ANSWERS: readonly (readonly [string, RequestListener, string, RegExp])[] = [
		[
			"an HTML page",
			(_q, r) => r.writeHead(200, { "Content-Type": "text/html" }).end("<html>"),
			"agent.bad_reply",
			/"text\/html", expected application\/json/,
		],
		["no content type", (_q, r) => r.end("{}"), "agent.bad_reply", /expected application\/json/],
		[
			"broken JSON",
			(_q, r) => r.writeHead(200, { "Content-Type": "application/json" }).end("{"),
			"agent.bad_reply",
			/not JSON/,
		],
		["a list", json([]), "agent.bad_reply", /no snapshot/],
		[
			"another major version",
			json({ ...SNAPSHOT, schema_version: "2.0" }),
			"agent.bad_reply",
			/schema_version: expected 1.x/,
		],
		[
			"a device without kind",
			json({ ...SNAPSHOT, devices: [{ ...device, kind: undefined }] }),
			"agent.bad_reply",
			/devices.0.kind/,
		],
		[
			"an attribute that is no text",
			json({ ...SNAPSHOT, devices: [{ ...device, attributes: { a: 1 } }] }),
			"agent.bad_reply",
			/devices.0.attributes.a/,
		],
		[
			"a device with 513 attributes",
			json({
				...SNAPSHOT,
				devices: [
					{ ...device, attributes: Object.fromEntries(Array.from({ length: 513 }, (_v, i) => [`a${i}`, "1"])) },
				],
			}),
			"agent.bad_reply",
			/devices\.0\.attributes: expected at most 512 attributes/,
		],
		[
			"a negative capacity",
			json({ ...SNAPSHOT, devices: [{ ...device, capacity: -1 }] }),
			"agent.bad_reply",
			/devices.0.capacity/,
		],
		[
			"more than 8 MiB",
			(_q, r) => r.writeHead(200, { "Content-Type": "application/json" }).end("x".repeat(9 << 20)),
			"agent.bad_reply",
			/more than 8388608 bytes/,
		],
		["status 500", json({}, 500), "agent.bad_reply", /status 500/],
		[
			"a redirect",
			(_q, r) => r.writeHead(302, { Location: "http://127.0.0.1:1/" }).end(),
			"agent.bad_reply",
			/status 302/,
		],
		[
			"another host's snapshot",
			json({ ...SNAPSHOT, host: "cmp-66" }),
			"agent.identity",
			/agent of cmp-01 says that it is "cmp-66"/,
		],
		["a closed connection", (q) => q.socket.destroy(), "agent.unreachable", /cannot be reached \(ECONNRESET\)/],
	];
	test.each(ANSWERS)("%s", async (_name, listener, code, message) => {
		expect(await failure(await serve(listener))).toMatchObject({
			name: "SnapshotError",
			code,
			message: expect.stringMatching(message),
		});
	});
});

test("an agent that is down", async () => {
	const url = await serve(json({}));
	await new Promise((resolve) => servers.splice(0)[0]?.close(resolve));
	expect(await failure(url)).toMatchObject({
		code: "agent.unreachable",
		message: expect.stringContaining("ECONNREFUSED"),
	});
});

test.each([
	["its own time is up", { timeout: 0.2 }],
	["the time of the check is up", { signal: AbortSignal.timeout(200) }],
])("an agent that never ends its answer, until %s", async (_name, options) => {
	const url = await serve(
		(_request, response) => void response.writeHead(200, { "Content-Type": "application/json" }).write("{"),
	);
	expect(await failure(url, options)).toMatchObject({ code: "agent.timeout" });
});

test("a host without agent: the name is a key and never part of a URL", async () => {
	const source = new AgentSource(new Map(), 1);
	for (const host of ["cmp-02", "127.0.0.1:9301", "a/../b", "__proto__", "x@evil"]) {
		await expect(source.fetch(host, { signal: new AbortController().signal })).rejects.toMatchObject({
			code: "agent.unconfigured",
		});
	}
});

test("a proxy in the environment is not used", async () => {
	const proxied: string[] = [];
	const proxy = await serve((request, response) => {
		proxied.push(request.url ?? "");
		response.end();
	});
	const url = await serve(json(SNAPSHOT));
	process.env["http_proxy"] = proxy.href;
	try {
		expect(await ask(url)).toEqual(SNAPSHOT);
	} finally {
		delete process.env["http_proxy"];
	}
	expect(proxied).toEqual([]);
});
