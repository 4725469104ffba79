import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import { AgentConnections } from "../../src/snapshot/agent-connections.ts";
import { AgentHttp } from "../../src/snapshot/agent-http.ts";
import { lookupWithin } from "../../src/snapshot/agent-networks.ts";
import { AgentSource, type Collected } from "../../src/snapshot/agent-source.ts";
import type { SnapshotError } from "../../src/snapshot/source.ts";

const SNAPSHOT = { schema_version: "1.1", host: "cmp-01", devices: [] };
const HEADERS = { "Content-Type": "application/json", "Collected-Age-Ms": "0" };
const json =
	(body: unknown, status = 200, headers: Readonly<Record<string, string>> = HEADERS): RequestListener =>
	(_request, response) => {
		response.writeHead(status, headers).end(JSON.stringify(body));
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

interface Options {
	readonly timeout?: number;
	readonly known?: Collected;
	readonly request_id?: string;
	readonly global_request_id?: string;
	readonly traceparent?: string;
}

const warnings: string[] = [];
const warn = (text: string) => void warnings.push(text);
function agentsAt(urls: Readonly<Record<string, URL>>, timeout = 5): AgentSource {
	const http = new AgentHttp(new AgentConnections(lookupWithin([], warn), undefined));
	const directory = { agents: new Map(Object.entries(urls)), hosts: [] };
	return new AgentSource({ http, directory, timeout, warn });
}
const ask = (url: URL, { timeout, ...question }: Options = {}) =>
	agentsAt({ "cmp-01": url }, timeout).ask("cmp-01", question);
/** A failure is for who asked for a check: it says of no agent where it is. */
const failureOf = (asked: Promise<unknown>): Promise<SnapshotError> =>
	asked.then(
		() => Promise.reject(new Error("an answer")),
		(error: SnapshotError) => {
			expect(error.message).not.toMatch(/127\.0\.0\.1|localhost|https?:|:\d{2,5}\b/);
			return error;
		},
	);
const failure = (url: URL, options: Options = {}) => failureOf(ask(url, options));

test("the snapshot, asked for with the request ids and the trace that there are", async () => {
	const headers: unknown[] = [];
	const url = await serve((request, response) => {
		headers.push([
			request.method,
			request.url,
			request.headers["x-openstack-request-id"],
			request.headers["x-openstack-global-request-id"],
			request.headers["traceparent"],
			request.headers["accept-encoding"],
		]);
		json(SNAPSHOT)(request, response);
	});
	const ids = { request_id: "req-1", global_request_id: "req-2", traceparent: "00-1-2-01" };
	expect((await ask(url, ids)).snapshot).toEqual(SNAPSHOT);
	await ask(url);
	expect(headers).toEqual([
		["GET", "/v1/snapshot", "req-1", "req-2", "00-1-2-01", "identity"],
		["GET", "/v1/snapshot", undefined, undefined, undefined, "identity"],
	]);
});

describe("a body in small pieces is one all the same", () => {
	const body = JSON.stringify(SNAPSHOT);
	/** what the agent sends, and bytes of a chunk */
	const BODIES: readonly (readonly [string, string, number])[] = [
		["each byte by itself", body, 1],
		["8 MiB in the smallest segments", body.padEnd(8 << 20), 536],
	];
	test.each(BODIES)("%s", async (_name, text, size) => {
		const url = await serve((_request, response) => {
			response.writeHead(200, HEADERS);
			for (let sent = 0; sent < text.length; sent += size) response.write(text.slice(sent, sent + size));
			response.end();
		});
		expect((await ask(url)).snapshot).toEqual(SNAPSHOT);
	});
});

test("fields of a newer minor version are ignored", async () => {
	const newer = { ...SNAPSHOT, schema_version: "1.7", weather: "fine" };
	expect((await ask(await serve(json(newer)))).snapshot).toEqual({ ...SNAPSHOT, schema_version: "1.7" });
});

describe("answers that are no snapshot", () => {
	const device = { id: "0000:3b:00.2", kind: "pci", capacity: 1, attributes: {}, unreadable: {} };
	/** what the agent does, code, a piece of the message */
	const ANSWERS: readonly (readonly [string, RequestListener, string, RegExp])[] = [
		[
			"an HTML page",
			(_q, r) => r.writeHead(200, { ...HEADERS, "Content-Type": "text/html" }).end("<html>"),
			"agent.bad_reply",
			/"text\/html", expected application\/json/,
		],
		[
			"no content type",
			(_q, r) => r.writeHead(200, { "Collected-Age-Ms": "0" }).end("{}"),
			"agent.bad_reply",
			/expected application\/json/,
		],
		["broken JSON", (_q, r) => r.writeHead(200, HEADERS).end("{"), "agent.bad_reply", /not JSON/],
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
			(_q, r) => r.writeHead(200, HEADERS).end("x".repeat(9 << 20)),
			"agent.bad_reply",
			/more than 8388608 bytes/,
		],
		[
			"bytes that come one by one, and too many of them",
			(_q, r) => {
				r.writeHead(200, HEADERS).write(" ");
				r.socket?.write("1\r\n \r\n".repeat(16_384));
			},
			"agent.bad_reply",
			/answered with more than 16384 pieces/,
		],
		[
			"a chunk without a size",
			(_q, r) => {
				r.writeHead(200, HEADERS).write("{");
				r.socket?.write("{\r\n");
			},
			"agent.bad_reply",
			/does not speak HTTP \(HPE_/,
		],
		["status 404", json({}, 404), "agent.bad_reply", /status 404/],
		["status 500", json({}, 500), "agent.unavailable", /status 500/],
		[
			"status 304 to a question without ETag",
			(_q, r) => r.writeHead(304, HEADERS).end(),
			"agent.bad_reply",
			/status 304/,
		],
		[
			"a compressed body",
			(_q, r) => r.writeHead(200, { ...HEADERS, "Content-Encoding": "gzip" }).end("x"),
			"agent.bad_reply",
			/content encoding "gzip", expected none/,
		],
		[
			"bytes that are no UTF-8",
			(_q, r) => r.writeHead(200, HEADERS).end(Buffer.from([0x22, 0xff, 0x22])),
			"agent.bad_reply",
			/not JSON/,
		],
		[
			"a quarter of a million lists",
			(_q, r) => r.writeHead(200, HEADERS).end(`[${"[],".repeat(250_000)}[]]`),
			"agent.bad_reply",
			/more than 200000 objects and lists/,
		],
		[
			"as many behind a quote and a backslash in strings",
			json(['"', "\\", ...Array(250_000).fill([])]),
			"agent.bad_reply",
			/more than 200000 objects and lists/,
		],
		[
			"as many in a string that never ends",
			(_q, r) => r.writeHead(200, HEADERS).end(`["${"[],".repeat(250_000)}`),
			"agent.bad_reply",
			/not JSON/,
		],
		[
			"a string that ends with a backslash",
			(_q, r) => r.writeHead(200, HEADERS).end('["\\'),
			"agent.bad_reply",
			/not JSON/,
		],
		[
			"an age that is none",
			json(SNAPSHOT, 200, { ...HEADERS, "Collected-Age-Ms": "-1" }),
			"agent.bad_reply",
			/Collected-Age-Ms "-1", expected milliseconds/,
		],
		[
			"no age",
			json(SNAPSHOT, 200, { "Content-Type": "application/json" }),
			"agent.bad_reply",
			/answered with no Collected-Age-Ms, expected milliseconds/,
		],
		["no HTTP", (q) => q.socket.end("SSH-2.0-OpenSSH_9.2\r\n"), "agent.bad_reply", /does not speak HTTP \(HPE_/],
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

test("another protocol than HTTP is no answer, and ends the question at once", async () => {
	const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n";
	const url = await serve((request) => request.socket.write(switching));
	expect(await failure(url, { timeout: 30 })).toMatchObject({
		code: "agent.bad_reply",
		message: "the agent of cmp-01 answered with status 101",
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

describe("an agent that dies in the middle of its answer is away, and no liar", () => {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
	const rows: readonly (readonly [what: string, sent: string, end: "end" | "resetAndDestroy"])[] = [
		["a body of known length", `${head}Content-Length: 100000\r\n\r\n{`, "end"],
		["a body in chunks", `${head}Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n`, "end"],
		["a body, with a reset", `${head}Content-Length: 100000\r\n\r\n{`, "resetAndDestroy"],
		["the body of a 503", "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\n\r\n{", "end"],
	];
	/** Turns of the event loop, not time: a machine that stands still does not let a reset overtake what was sent. */
	const arrived = async () => {
		for (let turns = 0; turns < 10; turns++) await sleep(5);
	};

	test.each(rows)("%s", async (_what, sent, end) => {
		let asked = 0;
		const url = await serve((request) => {
			asked++;
			request.socket.write(sent);
			void arrived().then(() => (request.socket as Socket)[end]());
		});
		expect(await failure(url)).toMatchObject({
			code: "agent.unreachable",
			message: expect.stringContaining("the agent of cmp-01 broke off in the middle of its answer"),
		});
		expect(asked).toBe(2);
	});

	test("what no agent answers is none, however it ends", async () => {
		const url = await serve((request) => request.socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n{"));
		expect(await failure(url)).toMatchObject({
			code: "agent.bad_reply",
			message: expect.stringContaining("status 404"),
		});
	});
});

test("an agent whose name leads to where none may be: the address is for the operator", async () => {
	const url = await serve(json(SNAPSHOT));
	url.hostname = "localhost";
	warnings.length = 0;
	expect(await failure(url)).toMatchObject({
		code: "agent.address",
		message: "the agent of cmp-01 is at an address outside of agent_networks",
	});
	expect(warnings).toEqual([expect.stringMatching(/^localhost is at .*127\.0\.0\.1.*, outside of agent_networks: /)]);
});

test("an agent that never ends its answer, until the time is up", async () => {
	const url = await serve((_request, response) => void response.writeHead(200, HEADERS).write("{"));
	expect(await failure(url, { timeout: 0.2 })).toMatchObject({ code: "agent.timeout" });
});

test("a host without agent: the name is a key and never part of a URL", async () => {
	for (const host of ["cmp-02", "127.0.0.1:9301", "a/../b", "__proto__", "x@evil"]) {
		await expect(agentsAt({}).ask(host, {})).rejects.toMatchObject({ code: "agent.unconfigured" });
	}
});

describe("what is known already", () => {
	const headers = { "Content-Type": "application/json", ETag: '"1"', "Collected-Age-Ms": "5000" };
	const conditional: RequestListener = (request, response) => {
		if (request.headers["if-none-match"] === '"1"') response.writeHead(304, { "Collected-Age-Ms": "2000" }).end();
		else response.writeHead(200, headers).end(JSON.stringify(SNAPSHOT));
	};
	/** Seconds that the agent has said, give or take the time of the question. */
	const expectAge = ({ collectedAt }: Collected, age: number, started: number) => {
		expect(collectedAt).toBeGreaterThanOrEqual(started - age * 1000);
		expect(collectedAt).toBeLessThanOrEqual(performance.now() - age * 1000);
	};

	test("is not sent again, and its age is what the agent says", async () => {
		const url = await serve(conditional);
		const started = performance.now();
		const first = await ask(url);
		expectAge(first, 5, started);
		const again = performance.now();
		const second = await ask(url, { known: first });
		expect(second.snapshot).toBe(first.snapshot);
		expect(second.etag).toBe('"1"');
		expectAge(second, 2, again);
	});

	test("is not taken for as it was by an answer about something else", async () => {
		for (const [etag, message] of [
			['W/"1"', undefined],
			['"2"', `the agent of cmp-01 answered with status 304 for ETag "\\"2\\"", expected "\\"1\\""`],
		] as const) {
			const url = await serve((request, response) => {
				if (request.headers["if-none-match"] === undefined) conditional(request, response);
				else response.writeHead(304, { "Collected-Age-Ms": "2000", ETag: etag }).end();
			});
			const known = await ask(url);
			if (message === undefined) expect((await ask(url, { known })).snapshot).toBe(known.snapshot);
			else expect(await failure(url, { known })).toMatchObject({ code: "agent.bad_reply", message });
		}
	});

	test("is not taken for as it was where nobody says an age", async () => {
		let asked = 0;
		const url = await serve((request, response) => {
			if (asked++ === 0) conditional(request, response);
			else response.writeHead(304).end();
		});
		const known = await ask(url);
		expect(await failure(url, { known })).toMatchObject({
			code: "agent.bad_reply",
			message: "the agent of cmp-01 answered with no Collected-Age-Ms, expected milliseconds",
		});
	});
});

test("an agent of snapshot 1.0 says no age: it has read its host for this answer", async () => {
	const older = { ...SNAPSHOT, schema_version: "1.0" };
	const url = await serve(json(older, 200, { "Content-Type": "application/json" }));
	const started = performance.now();
	const { snapshot, collectedAt } = await ask(url);
	expect(snapshot).toEqual(older);
	expect(collectedAt).toBeGreaterThanOrEqual(started);
});

describe("another try", () => {
	/** Answers the first request otherwise than the next. */
	async function first(answer: RequestListener) {
		let asked = 0;
		const url = await serve((request, response) => (++asked === 1 ? answer : json(SNAPSHOT))(request, response));
		return { url, asked: () => asked };
	}
	const status =
		(code: number, headers = {}): RequestListener =>
		(_q, r) =>
			r.writeHead(code, headers).end();

	/** what the agent does first, seconds there are, requests, and the code when it fails all the same */
	const TRIES: readonly (readonly [string, RequestListener, number, number, string | undefined])[] = [
		["closes the connection", (q) => q.socket.destroy(), 5, 2, undefined],
		["is busy", status(503), 5, 2, undefined],
		["is busy for a second", status(429, { "Retry-After": "1" }), 5, 2, undefined],
		["is busy for longer than there is time", status(503, { "Retry-After": "5" }), 5, 1, "agent.unavailable"],
		["is busy until a date", status(503, { "Retry-After": "Wed, 25 Nov 2026 10:00:00 GMT" }), 5, 2, undefined],
		["is busy, and too little time is left", status(503), 0.5, 1, "agent.unavailable"],
		["refuses", status(403), 5, 1, "agent.bad_reply"],
		["sends no snapshot", json({}), 5, 1, "agent.bad_reply"],
	];
	test.each(TRIES)("when the agent %s", async (_name, answer, timeout, requests, code) => {
		const { url, asked } = await first(answer);
		if (code === undefined) expect((await ask(url, { timeout })).snapshot).toEqual(SNAPSHOT);
		else expect(await failure(url, { timeout })).toMatchObject({ code });
		expect(asked()).toBe(requests);
	});

	test("never more than two in one question", async () => {
		let asked = 0;
		const url = await serve((request) => {
			asked++;
			request.socket.destroy();
		});
		expect(await failure(url)).toMatchObject({ code: "agent.unreachable" });
		expect(asked).toBe(2);
	});
});

test("a clock that is wrong by an hour is told once, and decides nothing", async () => {
	const url = await serve((request, response) => {
		response.setHeader("Date", new Date(Date.now() + 3_600_000).toUTCString());
		json(SNAPSHOT)(request, response);
	});
	const agents = agentsAt({ "cmp-01": url });
	warnings.length = 0;
	const [{ snapshot }] = [await agents.ask("cmp-01", {}), await agents.ask("cmp-01", {})];
	expect(snapshot).toEqual(SNAPSHOT);
	expect(warnings).toEqual(["the clock of cmp-01 is 60 min ahead"]);
});

test("a host that has been rebooted is told once; that an older boot comes back is impossible", async () => {
	const boot = (number: number) => `7d0d1b0c-3a59-4a36-9d80-00000000000${number}`;
	let boot_id = boot(1);
	const url = await serve((request, response) => json({ ...SNAPSHOT, boot_id })(request, response));
	const agents = agentsAt({ "cmp-01": url });
	warnings.length = 0;
	for (const number of [1, 2, 2, 3]) {
		boot_id = boot(number);
		expect((await agents.ask("cmp-01", {})).snapshot.boot_id).toBe(boot_id);
	}
	expect(warnings).toEqual([
		`cmp-01 has been rebooted: boot ${boot(2)} follows ${boot(1)}`,
		`cmp-01 has been rebooted: boot ${boot(3)} follows ${boot(2)}`,
	]);
	boot_id = boot(1);
	expect(await failureOf(agents.ask("cmp-01", {}))).toMatchObject({
		code: "agent.identity",
		message: `the agent of cmp-01 answers from boot ${boot(1)} again, which boot ${boot(3)} had followed: two machines say that they are cmp-01`,
	});
	boot_id = boot(3);
	expect((await agents.ask("cmp-01", {})).snapshot.boot_id).toBe(boot_id);
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
		expect((await ask(url)).snapshot).toEqual(SNAPSHOT);
	} finally {
		delete process.env["http_proxy"];
	}
	expect(proxied).toEqual([]);
});

test("interim responses without end are no answer, and end the question at once", async () => {
	const url = await serve((_request, response) => {
		const more = setInterval(() => response.socket?.write("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17)), 1);
		response.once("close", () => clearInterval(more));
	});
	await expect(ask(url)).rejects.toThrow(/answered with more than 16 interim responses/);
});

test("an answer that is on its way comes, however many other hosts are asked meanwhile", async () => {
	const waiting: ServerResponse[] = [];
	const slow = await serve((_request, response) => void waiting.push(response));
	const connections = new AgentConnections(lookupWithin([], warn), undefined);
	const directory = { agents: new Map([["cmp-01", slow]]), hosts: [] };
	const source = new AgentSource({ http: new AgentHttp(connections), directory, timeout: 30, warn });
	const asked = source.ask("cmp-01", {});
	await expect.poll(() => waiting.length).toBe(1);
	// As a ranking of all hosts does: connections to no more than 1,024 are kept.
	for (let host = 0; host < 1_024; host++) connections.to(`other-${host}`, slow);
	await setImmediate();
	for (const response of waiting) response.writeHead(200, HEADERS).end(JSON.stringify(SNAPSHOT));
	expect(await asked).toMatchObject({ snapshot: SNAPSHOT });
	expect(waiting).toHaveLength(1);
	const [{ socket }] = waiting as [ServerResponse];
	await expect.poll(() => socket?.destroyed ?? true).toBe(true);
});

test("agents that send their answers slowly are let finish, be they more than are asked at once", async () => {
	const hosts = Array.from({ length: 80 }, (_, index) => `cmp-${index}`);
	const slow =
		(host: string): RequestListener =>
		async (_request, response) => {
			response.writeHead(200, HEADERS);
			for (let part = 0; part < 12 && !response.destroyed; part++) {
				response.write(" ");
				await sleep(100);
			}
			response.end(JSON.stringify({ ...SNAPSHOT, host }));
		};
	const urls = await Promise.all(hosts.map(async (host) => [host, await serve(slow(host))] as const));
	const agents = agentsAt(Object.fromEntries(urls), 60);
	const answers = await Promise.allSettled(hosts.map((host) => agents.ask(host, {})));
	expect(answers.filter(({ status }) => status === "rejected")).toEqual([]);
});
