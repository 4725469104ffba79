import { chmodSync, copyFileSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { AgentConnections } from "../../src/snapshot/agent-connections.ts";
import { AgentHttp } from "../../src/snapshot/agent-http.ts";
import { lookupWithin } from "../../src/snapshot/agent-networks.ts";
import { AgentSource } from "../../src/snapshot/agent-source.ts";
import { TlsMaterial } from "../../src/snapshot/agent-tls.ts";
import { type Certificate, createCa } from "../support/certificates.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const HOST = "cmp-01.example.org";
const SNAPSHOT = { schema_version: "1.3", host: HOST, devices: [] };

const ca = createCa();
afterAll(() => ca.remove());

const good: RequestListener = (_request, response) => {
	const headers = { "Content-Type": "application/json", "Collected-Age-Ms": "0" };
	response.writeHead(200, headers).end(JSON.stringify(SNAPSHOT));
};

/** An agent as it should be, but for its certificate or what it answers. */
async function agentWith({ cert, key }: Certificate, listener = good): Promise<URL> {
	const material = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca.ca) };
	const server = createServer({ ...material, requestCert: true, rejectUnauthorized: true }, listener);
	onTestFinished(() => void server.close().closeAllConnections());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** The service's side, with files of its own, so that a test can spoil them. */
function serviceOf(url: URL, host = HOST) {
	const warnings: string[] = [];
	const warn = (text: string) => void warnings.push(text);
	const files = { ca: join(temporaryDirectory(), "ca.pem"), ...ca.issue("service", "DNS:service") };
	copyFileSync(ca.ca, files.ca);
	const tls = new TlsMaterial(files, warn);
	const http = new AgentHttp(new AgentConnections(lookupWithin([], warn), tls));
	const directory = { agents: new Map([[host, url]]), hosts: [] };
	const agents = new AgentSource({ http, directory, timeout: 5, warn });
	return { files, warnings, ask: async () => (await agents.ask(host, {})).snapshot };
}

test("a file of ours that cannot even be looked at is told once, and what was there before is used on", async () => {
	const { files, warnings, ask } = serviceOf(await agentWith(ca.issue(HOST, `DNS:${HOST}`)));
	expect(await ask()).toEqual(SNAPSHOT);
	rmSync(files.cert);
	symlinkSync(files.cert, files.cert);
	for (const _ of [1, 2]) expect(await ask()).toEqual(SNAPSHOT);
	expect(warnings).toEqual([
		expect.stringMatching(/^agent_tls\.cert: .*: ELOOP: going on with what was there before$/),
	]);
});

test("a key that may be read at last is taken, though it was not written again", async () => {
	const { files, warnings, ask } = serviceOf(await agentWith(ca.issue(HOST, `DNS:${HOST}`)));
	const stranger = createCa();
	onTestFinished(() => stranger.remove());
	const { cert, key } = stranger.issue("service", "DNS:service");
	chmodSync(key, 0o644);
	renameSync(key, files.key);
	renameSync(cert, files.cert);
	expect(await ask()).toEqual(SNAPSHOT);
	expect(warnings).toEqual([expect.stringMatching(/has mode 0644, expected 0600 or 0640: going on with what was/)]);
	chmodSync(files.key, 0o600);
	await expect(ask()).rejects.toMatchObject({ code: "agent.tls" });
});

test("an authority that is none is told, and what was there before is used on", async () => {
	const { files, warnings, ask } = serviceOf(await agentWith(ca.issue(HOST, `DNS:${HOST}`)));
	writeFileSync(files.ca, "");
	expect(await ask()).toEqual(SNAPSHOT);
	expect(warnings).toEqual([
		expect.stringMatching(/^agent_tls\.ca: .* has no certificate in PEM: going on with what was there before$/),
	]);
});

describe("the name of the host stands in the certificate of its agent, letter by letter", () => {
	const rows: readonly (readonly [altNames: string, answer: unknown])[] = [
		[`DNS:${HOST}`, SNAPSHOT],
		["DNS:CMP-01.Example.org", SNAPSHOT],
		[`DNS:*.example.org,DNS:${HOST}`, SNAPSHOT],
		[
			"DNS:*.example.org",
			expect.stringMatching(/its certificate names it by a wildcard only \(ERR_TLS_CERT_ALTNAME_WILDCARD\)$/),
		],
		["DNS:cmp-*.example.org", expect.stringMatching(/wildcard|another name/)],
		["DNS:*.example.org,DNS:cmp-02.example.org", expect.stringMatching(/by a wildcard only/)],
		["DNS:example.org", expect.stringMatching(/another name \(ERR_TLS_CERT_ALTNAME_INVALID\)$/)],
	];
	test.each(rows)("%s", async (altNames, answer) => {
		const { ask } = serviceOf(await agentWith(ca.issue(HOST, altNames)));
		const asked = ask().catch(({ code, message }) => (code === "agent.tls" ? message : code));
		expect(await asked).toEqual(answer);
	});

	test("a host that is known by its address has no other name", async () => {
		const { ask } = serviceOf(await agentWith(ca.issue(HOST, "IP:127.0.0.1")), "127.0.0.1");
		// It is trusted, and says whose agent it is.
		await expect(ask()).rejects.toMatchObject({ code: "agent.identity" });
	});
});

describe("an agent that dies in the middle of its answer is away, and no liar", () => {
	/** What passes on the way to an agent until it ends as it is told to. */
	async function severable(agent: URL) {
		const clients = new Set<Socket>();
		const server = createTcpServer((client) => {
			clients.add(client);
			const upstream = connect(Number(agent.port), "127.0.0.1");
			for (const one of [client, upstream]) one.on("error", () => undefined);
			client.pipe(upstream).pipe(client);
			client.on("close", () => upstream.destroy());
		});
		onTestFinished(() => void server.close());
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const url = new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
		return { url, reset: () => [...clients].map((client) => client.resetAndDestroy()) };
	}

	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n";
	/** what has come, and how many good answers before */
	const rows: readonly (readonly [what: string, sent: string, before: number])[] = [
		["a part of the head", head, 0],
		["a part of the body", `${head}\r\n{`, 0],
		["a part of the body, after a good answer", `${head}\r\n{`, 1],
	];
	const BROKE_OFF = /^the agent of cmp-01\.example\.org broke off in the middle of its answer /;
	/** Turns of the event loop, not time: a machine that stands still does not let a reset overtake what was sent. */
	const arrived = async () => {
		for (let turns = 0; turns < 10; turns++) await sleep(5);
	};

	test.each(rows)("reset over TLS after %s", async (_what, sent, before) => {
		let asked = 0;
		const agent = await agentWith(ca.issue(HOST, `DNS:${HOST}`), (request, response) => {
			if (asked++ < before) return good(request, response);
			request.socket.write(sent);
			void arrived().then(way.reset);
		});
		const way = await severable(agent);
		const { ask } = serviceOf(way.url);
		for (let answers = 0; answers < before; answers++) expect(await ask()).toEqual(SNAPSHOT);
		await expect(ask()).rejects.toMatchObject({ code: "agent.unreachable", message: expect.stringMatching(BROKE_OFF) });
		expect(asked).toBeGreaterThanOrEqual(before + 2);
	});

	test.each(rows)("closed over TLS after %s", async (_what, sent, before) => {
		let asked = 0;
		const agent = await agentWith(ca.issue(HOST, `DNS:${HOST}`), (request, response) => {
			if (asked++ < before) return good(request, response);
			request.socket.end(sent);
		});
		const { ask } = serviceOf(agent);
		for (let answers = 0; answers < before; answers++) expect(await ask()).toEqual(SNAPSHOT);
		await expect(ask()).rejects.toMatchObject({ code: "agent.unreachable", message: expect.stringMatching(BROKE_OFF) });
		expect(asked).toBeGreaterThanOrEqual(before + 2);
	});
});
