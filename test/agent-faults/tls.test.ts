import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TlsOptions } from "node:tls";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { row } from "../faults/rows.ts";
import { type Certificate, createCa } from "../support/certificates.ts";
import { freePort } from "../support/free-port.ts";
import { AgentProcess } from "./agent-process.ts";
import { json, Opened, TARGET } from "./rig.ts";

const opened = new Opened();
afterEach(() => opened.close());

const [ca, strange] = [createCa(), createCa()];
const directory = mkdtempSync(join(tmpdir(), "novacompat-tls-"));
afterAll(() => {
	ca.remove();
	strange.remove();
	rmSync(directory, { recursive: true });
});

const client = ca.issue("novacompat", "DNS:novacompat");
const good = ca.issue(TARGET, `DNS:${TARGET}`);
const agentTls = ({ cert, key }: Certificate = client, authority = ca.ca) => ({ ca: authority, cert, key });

/** An agent as it should be, but for its certificate or TLS; its address is not in the certificate. */
async function agent({ cert, key }: Certificate, options: TlsOptions = {}): Promise<string> {
	const material = { cert: readFileSync(cert), key: readFileSync(key), ca: readFileSync(ca.ca) };
	const server = createServer({ ...material, requestCert: true, rejectUnauthorized: true, ...options }, json());
	server.on("tlsClientError", () => undefined);
	return `https://127.0.0.1:${await opened.listen(server)}`;
}

/** One that refuses a client as OpenSSL does, with an alert. */
async function opensslAgent(): Promise<string> {
	const port = await freePort();
	const verify = ["-Verify", "1", "-verify_return_error", "-CAfile", ca.ca];
	const options = ["-accept", `127.0.0.1:${port}`, "-cert", good.cert, "-key", good.key, ...verify, "-quiet"];
	const child = spawn("/usr/bin/openssl", ["s_server", ...options], { stdio: "ignore" });
	opened.add(() => child.kill("SIGKILL"));
	const listens = () =>
		new Promise((resolve) => {
			const socket = connect(port, "127.0.0.1", () => resolve(Boolean(socket.destroy())));
			socket.on("error", () => resolve(false));
		});
	await expect.poll(listens).toBe(true);
	return `https://127.0.0.1:${port}`;
}

/** Records how every connection begins, and hands it on: TLS begins with 0x16. */
async function observed(target: string): Promise<{ readonly url: string; readonly firstBytes: number[] }> {
	const firstBytes: number[] = [];
	const server = createTcpServer((socket) => {
		const upstream = connect(Number(new URL(target).port), "127.0.0.1");
		for (const one of [socket, upstream]) one.on("error", () => undefined);
		socket.once("data", (data) => firstBytes.push(data[0] ?? -1));
		socket.pipe(upstream).pipe(socket);
	});
	return { url: `https://127.0.0.1:${await opened.listen(server)}`, firstBytes };
}

/** what is wrong, the agent, files of the service, what is said */
const TABLE: readonly (readonly [string, () => Promise<string>, ReturnType<typeof agentTls>, RegExp])[] = [
	["expired", () => agent(ca.issue(TARGET, `DNS:${TARGET}`, -1)), agentTls(), /has expired \(CERT_HAS_EXPIRED\)/],
	[
		"of another host",
		() => agent(ca.issue("cmp-66", "DNS:cmp-66")),
		agentTls(),
		/is for another name \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
	],
	[
		"for the address only",
		() => agent(ca.issue(TARGET, "IP:127.0.0.1")),
		agentTls(),
		/is for another name \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
	],
	[
		"of an unknown authority",
		() => agent(strange.issue(TARGET, `DNS:${TARGET}`)),
		agentTls(),
		/of an unknown authority \(/,
	],
	[
		"good, and the service's is of another authority",
		() => agent(good),
		agentTls(strange.issue("novacompat", "DNS:novacompat")),
		/after the handshake: it may refuse our client certificate \(ECONNRESET\)/,
	],
	[
		"good, and the service's has expired",
		() => agent(good),
		agentTls(ca.issue("novacompat", "DNS:novacompat", -1)),
		/after the handshake: it may refuse our client certificate \(ECONNRESET\)/,
	],
	[
		"good, and OpenSSL does not trust the service's",
		opensslAgent,
		agentTls(strange.issue("novacompat", "DNS:novacompat")),
		/refuses our client certificate \(ERR_SSL_TLSV1_ALERT_UNKNOWN_CA\)/,
	],
	[
		"good, with TLS 1.1 at most",
		() => agent(good, { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" }),
		agentTls(),
		/no TLS 1.2 or newer \(/,
	],
	[
		"none: the port speaks HTTP",
		async () => (await opened.agent(json())).replace("http:", "https:"),
		agentTls(),
		/no TLS at its port \(ERR_SSL_/,
	],
];

row(
	50,
	"TLS: expired, wrong name, unknown authority, client refused, old, none",
	"agent.tls, each with its reason; never without TLS",
	async (measure) => {
		const said = new Set<string>();
		for (const [name, start, files, message] of TABLE) {
			const { url, firstBytes } = await observed(await start());
			const { check } = await opened.service(url, { agent_tls: files }, { "*": "accept" });
			const { allowed, codes, reasons } = await check();
			expect([name, allowed, ...codes]).toEqual([name, false, "agent.tls"]);
			expect(reasons[0]?.message).toMatch(message);
			expect(new Set(firstBytes)).toEqual(new Set([0x16]));
			said.add(String(message));
		}
		measure(`${TABLE.length} of ${TABLE.length}, ${said.size} reasons`);
	},
);

describe("mutual TLS", () => {
	const accepted = async (url: string, files = agentTls()) => {
		const { check } = await opened.service(url, { agent_tls: files });
		return (await check()).verdict;
	};

	test.each(["TLSv1.2", "TLSv1.3"] as const)("with both certificates, over %s", async (version) => {
		expect(await accepted(await agent(good, { minVersion: version, maxVersion: version }))).toBe("accept");
	});

	test("with the agent as it is built: a snapshot for the service, none for a stranger", async () => {
		const host = `${import.meta.dirname}/../../config/samples/hosts/${TARGET}`;
		const material = ["--tls-cert", good.cert, "--tls-key", good.key, "--tls-client-ca", ca.ca];
		const at = { sysfs: `${host}/sys`, libvirt: `${host}/libvirt` };
		const { url } = await AgentProcess.start(at, 1, TARGET, material);
		expect(url).toMatch(/^https:/);
		expect(await accepted(url)).toBe("accept");
		const stranger = await opened.service(url, { agent_tls: agentTls(strange.issue("novacompat", "DNS:novacompat")) });
		expect((await stranger.check()).codes).toEqual(["agent.tls"]);
	});

	test("the name of the host counts, not that of the address", async () => {
		const url = (await agent(good)).replace("127.0.0.1", "localhost");
		const { check } = await opened.service(url, { agent_tls: agentTls(), agent_networks: ["127.0.0.0/8"] });
		expect((await check()).verdict).toBe("accept");
	});

	test("the agent sees the service's certificate, and the name of the host it is asked for", async () => {
		const seen: unknown[] = [];
		const material = { cert: readFileSync(good.cert), key: readFileSync(good.key), ca: readFileSync(ca.ca) };
		const server = createServer({ ...material, requestCert: true, rejectUnauthorized: true }, json());
		server.on("secureConnection", (socket) => seen.push(socket.getPeerCertificate().subject.CN, socket.servername));
		expect(await accepted(`https://127.0.0.1:${await opened.listen(server)}`)).toBe("accept");
		expect(seen).toEqual(["novacompat", TARGET]);
	});

	test("files that are renewed are used without a restart, broken ones are told and not used", async () => {
		const path = (name: string) => join(directory, name);
		const put = (from: string, name: string) => {
			copyFileSync(from, path(`${name}.new`));
			chmodSync(path(`${name}.new`), 0o600);
			renameSync(path(`${name}.new`), path(name));
		};
		put(strange.ca, "ca.pem");
		put(client.cert, "cert.pem");
		put(client.key, "key.pem");
		const files = { ca: path("ca.pem"), cert: path("cert.pem"), key: path("key.pem") };
		const options = { agent_tls: files, snapshot_max_age: 0 };
		const { check, lines } = await opened.service(await agent(good), options);
		expect((await check()).codes).toEqual(["agent.tls"]);
		put(ca.ca, "ca.pem");
		await expect.poll(async () => (await check()).verdict, { timeout: 5_000 }).toBe("accept");
		put(`${import.meta.dirname}/rig.ts`, "key.pem");
		for (const _ of [1, 2]) expect((await check()).verdict).toBe("accept");
		expect(lines.filter((line) => line.includes("WARNING") && line.includes("do not go together"))).toHaveLength(1);
		put(client.key, "key.pem");
		put(strange.ca, "ca.pem");
		expect((await check()).codes).toEqual(["agent.tls"]);
	});
});

describe("what the service does not start with", () => {
	const start = (files: ReturnType<typeof agentTls>) => opened.service("https://127.0.0.1:1", { agent_tls: files });

	test("files that are not there", async () => {
		await expect(start({ ...agentTls(), ca: `${directory}/none.pem` })).rejects.toThrow(
			/^agent_tls\.ca: .*none\.pem: ENOENT$/,
		);
	});

	test("a key that others can read", async () => {
		const key = join(directory, "open.key");
		copyFileSync(client.key, key);
		chmodSync(key, 0o644);
		await expect(start({ ...agentTls(), key })).rejects.toThrow(/open\.key has mode 0644, expected 0600 or 0640$/);
	});

	test("a key of another certificate", async () => {
		await expect(start({ ...agentTls(), key: good.key })).rejects.toThrow(
			/do not go together \(ERR_OSSL_X509_KEY_VALUES_MISMATCH\)$/,
		);
	});
});
