import { readFileSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { AgentConnections } from "../../src/snapshot/agent-connections.ts";
import { AgentHttp } from "../../src/snapshot/agent-http.ts";
import { lookupWithin } from "../../src/snapshot/agent-networks.ts";
import { AgentSource } from "../../src/snapshot/agent-source.ts";
import { TlsMaterial } from "../../src/snapshot/agent-tls.ts";
import { type Certificate, createCa } from "../support/certificates.ts";

const HOST = "cmp-01.example.org";
const SNAPSHOT = { schema_version: "1.3", host: HOST, devices: [] };

const ca = createCa();
afterAll(() => ca.remove());

/** An agent as it should be, but for its certificate. */
async function agentWith({ cert, key }: Certificate): Promise<URL> {
	const material = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca.ca) };
	const server = createServer({ ...material, requestCert: true, rejectUnauthorized: true }, (_request, response) => {
		const headers = { "Content-Type": "application/json", "Collected-Age-Ms": "0" };
		response.writeHead(200, headers).end(JSON.stringify(SNAPSHOT));
	});
	onTestFinished(() => void server.close().closeAllConnections());
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return new URL(`https://127.0.0.1:${(server.address() as AddressInfo).port}`);
}

/** The service's side, with files of its own, so that a test can spoil them. */
function serviceOf(url: URL) {
	const warnings: string[] = [];
	const warn = (text: string) => void warnings.push(text);
	const files = { ca: ca.ca, ...ca.issue("service", "DNS:service") };
	const tls = new TlsMaterial(files, warn);
	const http = new AgentHttp(new AgentConnections(lookupWithin([], warn), tls));
	const directory = { agents: new Map([[HOST, url]]), hosts: [] };
	const agents = new AgentSource({ http, directory, timeout: 5, warn });
	return { files, warnings, ask: async () => (await agents.ask(HOST, {})).snapshot };
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
