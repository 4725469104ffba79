import { readFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { type ConnectionOptions, connect } from "node:tls";
import { afterAll, expect } from "vitest";
import { row } from "../faults/rows.ts";
import { type Certificate, createCa } from "../support/certificates.ts";
import { populatePci, temporaryHost } from "../support/sysfs.ts";
import { AgentProcess } from "./agent-process.ts";

const HOST = "cmp-01";
const PATIENCE_MS = 5_000;
const REQUEST = "GET /v1/snapshot HTTP/1.1\r\nHost: cmp-01\r\nConnection: close\r\n\r\n";

const [ca, strange] = [createCa(), createCa()];
afterAll(() => {
	ca.remove();
	strange.remove();
});
const client = ca.issue("service", "DNS:service");
const mutual = { ca: ca.ca, agent: ca.issue(HOST, `DNS:${HOST}`), client };
const pem = ({ cert, key }: Certificate) => ({ cert: readFileSync(cert), key: readFileSync(key) });
const only = (version: "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3"): ConnectionOptions => ({
	minVersion: version,
	maxVersion: version,
	ciphers: "DEFAULT@SECLEVEL=0",
});

/** What a client brings, and whether it may ask; who brings a text speaks no TLS and sends that. */
const CLIENTS: readonly (readonly [what: string, brings: ConnectionOptions | string, may: boolean])[] = [
	["a certificate, TLS 1.3", { ...pem(client), ...only("TLSv1.3") }, true],
	["a certificate, TLS 1.2", { ...pem(client), ...only("TLSv1.2") }, true],
	["no certificate, TLS 1.3", only("TLSv1.3"), false],
	["no certificate, TLS 1.2", only("TLSv1.2"), false],
	["a certificate of another authority", pem(strange.issue("service", "DNS:service")), false],
	[
		"a certificate of another authority, TLS 1.2",
		{ ...pem(strange.issue("service", "DNS:service")), ...only("TLSv1.2") },
		false,
	],
	[
		"another authority's own certificate",
		{ cert: readFileSync(strange.ca), key: readFileSync(strange.ca.replace(".pem", ".key")) },
		false,
	],
	["an expired certificate", pem(ca.issue("service", "DNS:service", -1)), false],
	["a certificate, TLS 1.1", { ...pem(client), ...only("TLSv1.1") }, false],
	["a certificate, TLS 1.0", { ...pem(client), ...only("TLSv1") }, false],
	["no TLS", REQUEST, false],
	["what is neither", "\x16\x03\x01\xff\xff garbage", false],
];

/** All that a client gets to read of what the agent answers: nothing, when it may not ask. */
function answerTo(port: number, brings: ConnectionOptions | string): Promise<string> {
	return new Promise((resolve) => {
		const to = { host: "127.0.0.1", port };
		const socket =
			typeof brings === "string"
				? connectTcp(to, () => socket.write(brings))
				: connect({ ...to, ca: readFileSync(ca.ca), servername: HOST, ...brings }, () => socket.write(REQUEST));
		let text = "";
		// An alert, which is all that TLS says to who speaks none, is no answer.
		socket.on("data", (chunk: Buffer) => {
			if (chunk[0] !== 0x15) text += chunk.toString("latin1");
		});
		socket.on("error", () => undefined);
		socket.on("close", () => resolve(text));
		socket.setTimeout(PATIENCE_MS, () => socket.destroy());
	});
}

row(
	"TLS",
	`${CLIENTS.length} clients: no, strange, expired certificates, old TLS, none`,
	"0 bytes to who may not ask",
	async (measure) => {
		const host = temporaryHost();
		populatePci(host.sysfs, { address: "0000:3b:10.0", driver: "mlx5_vfio_pci" });
		const agent = await AgentProcess.start(host, 1, HOST, [], mutual);
		const answers: { readonly what: string; readonly may: boolean; readonly text: string }[] = [];
		for (const [what, brings, may] of CLIENTS) answers.push({ what, may, text: await answerTo(agent.port, brings) });
		const [allowed, refused] = [answers.filter(({ may }) => may), answers.filter(({ may }) => !may)];
		const bytes = (of: typeof answers) => of.reduce((sum, { text }) => sum + text.length, 0);
		measure(`${bytes(refused)} bytes to ${refused.length}; ${bytes(allowed)} to ${allowed.length} that may`);
		expect(refused.filter(({ text }) => text !== "")).toEqual([]);
		for (const { text } of allowed) expect(text).toMatch(/^HTTP\/1\.1 200 .*0000:3b:10\.0/s);
	},
);
