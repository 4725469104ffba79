import { once } from "node:events";
import {
	chmodSync,
	chownSync,
	copyFileSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	symlinkSync,
	writeFileSync,
} from "node:fs";
import { Agent, type RequestOptions, request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect as connectTls, type SecureVersion } from "node:tls";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { startAgentServer } from "../../src/agent/server.ts";
import { AgentTls, TlsError, type TlsFiles } from "../../src/agent/tls.ts";
import { MAX_HANDSHAKES_PER_SECOND } from "../../src/http/pace.ts";
import { type Certificate, createCa } from "../support/certificates.ts";
import { recordingLog } from "../support/log.ts";

const HOST = "cmp-01";
const LOOK_MS = 20;

const ca = createCa();
const stranger = createCa();
afterAll(() => {
	ca.remove();
	stranger.remove();
});

const readText = (file: string) => readFileSync(file, "utf8");

/** Copies, so that a test can spoil them. */
function files({ cert, key } = ca.issue(HOST, `DNS:${HOST}`)): TlsFiles {
	const directory = mkdtempSync(join(tmpdir(), "novacompat-tls-"));
	onTestFinished(() => rmSync(directory, { recursive: true }));
	const copy = (name: string, from: string, mode: number) => {
		const to = join(directory, name);
		copyFileSync(from, to);
		chmodSync(to, mode);
		return to;
	};
	return {
		certificate: copy("cert.pem", cert, 0o644),
		key: copy("key.pem", key, 0o600),
		clientCa: copy("ca.pem", ca.ca, 0o644),
	};
}

async function agent(tlsFiles: TlsFiles, body = Buffer.from("{}"), address = "127.0.0.1") {
	const { log, lines } = recordingLog();
	const tls = new AgentTls(tlsFiles, HOST, log, LOOK_MS);
	const latest = () => ({ body, etag: '"1"', running: new Set<string>(), collectedAt: performance.now() });
	const { url, close } = await startAgentServer({ listen: { address, port: 0 }, latest, tls, log });
	onTestFinished(close);
	return { url, lines, tls };
}

/** Asks as the service does: the certificate must be for the host's name, wherever the agent listens. */
function ask(
	url: string,
	client: Certificate | undefined,
	options: RequestOptions & Pick<ConnectionOptions, "session"> = {},
): Promise<number | string> {
	return new Promise((resolve) => {
		const identity = client && { cert: readText(client.cert), key: readText(client.key) };
		const asked = request(
			`${url}/v1/snapshot`,
			{ ca: readText(ca.ca), servername: HOST, agent: false, ...identity, ...options },
			(response) => {
				response.resume();
				resolve(response.statusCode ?? 0);
			},
		);
		asked.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
		asked.end();
	});
}

/** What a client may take up again, after an answer. */
function sessionOf(url: string, client: Certificate, version: SecureVersion): Promise<Buffer | undefined> {
	return new Promise((resolve) => {
		const { hostname: host, port } = new URL(url);
		const identity = { ca: readText(ca.ca), cert: readText(client.cert), key: readText(client.key) };
		const versions = { minVersion: version, maxVersion: version };
		const socket = connectTls({ host, port: Number(port), servername: HOST, ...identity, ...versions }, () =>
			socket.end("GET /livez HTTP/1.1\r\nHost: cmp-01\r\nConnection: close\r\n\r\n"),
		);
		let session: Buffer | undefined;
		socket.on("session", (one) => {
			session = one;
		});
		socket.resume().on("close", () => resolve(session));
	});
}

describe("who may ask, and whom the service believes", () => {
	const rows: readonly [
		what: string,
		client: () => Certificate | undefined,
		options: RequestOptions,
		answer: unknown,
	][] = [
		["a client of the same authority", () => ca.issue("service", "DNS:service"), {}, 200],
		["no certificate", () => undefined, {}, expect.stringMatching(/CERTIFICATE_REQUIRED|ECONNRESET/)],
		["a client of another authority", () => stranger.issue("service", "DNS:service"), {}, expect.stringMatching(/^E/)],
		["an expired client", () => ca.issue("service", "DNS:service", -1), {}, expect.stringMatching(/^E/)],
		["TLS 1.1", () => ca.issue("service", "DNS:service"), { maxVersion: "TLSv1.1" }, expect.stringMatching(/^E/)],
		[
			"a service that wants another host",
			() => ca.issue("service", "DNS:service"),
			{ servername: "cmp-02" },
			"ERR_TLS_CERT_ALTNAME_INVALID",
		],
	];
	test.each(rows)("%s", async (_what, client, options, answer) => {
		const { url } = await agent(files());
		expect(url).toMatch(/^https:/);
		expect(await ask(url, client(), options)).toEqual(answer);
	});

	test("a body that goes out in parts comes whole", async () => {
		const body = Buffer.alloc(3_000_001, "0123456789");
		const { url } = await agent(files(), body);
		const { cert, key } = ca.issue("service", "DNS:service");
		const options = { ca: readText(ca.ca), servername: HOST, agent: false, cert: readText(cert), key: readText(key) };
		const received = await new Promise<Buffer>((resolve, reject) => {
			const asked = request(`${url}/v1/snapshot`, options, (response) => {
				const chunks: Buffer[] = [];
				response.on("data", (chunk: Buffer) => chunks.push(chunk));
				response.on("end", () => resolve(Buffer.concat(chunks)));
			});
			asked.on("error", reject).end();
		});
		expect(received.equals(body)).toBe(true);
	});

	test("who speaks no TLS gets nothing", async () => {
		const { url } = await agent(files());
		await expect(fetch(`${url.replace("https", "http")}/v1/snapshot`)).rejects.toThrow();
	});
});

test("who begins connections all the time is cut off before TLS, others are not; the log is told and stays short", async () => {
	const { url, lines } = await agent(files());
	const [from, attempts] = ["127.0.0.3", 6 * MAX_HANDSHAKES_PER_SECOND];
	let closed = 0;
	const sockets = Array.from({ length: attempts }, () =>
		connect({ host: "127.0.0.1", port: Number(new URL(url).port), localAddress: from }).on("error", () => undefined),
	);
	for (const socket of sockets) socket.on("close", () => closed++);
	// The attempts may have begun in several seconds.
	await expect.poll(() => closed).toBeGreaterThanOrEqual(MAX_HANDSHAKES_PER_SECOND);
	expect(await ask(url, ca.issue("service", "DNS:service"), { localAddress: "127.0.0.4" })).toBe(200);
	for (const socket of sockets) socket.destroy();
	const told = lines.filter((line) =>
		line.includes(`${from} began more than ${MAX_HANDSHAKES_PER_SECOND} connections`),
	);
	expect(told.length).toBeGreaterThan(0);
	await expect.poll(() => closed).toBe(attempts);
	expect(lines.length).toBeLessThan(attempts / 3);
});

test("a handshake has no more time because another one from the same port is over", async () => {
	const { url } = await agent(files(), undefined, "0.0.0.0");
	// No other process has this address.
	const from = { localAddress: `127.9.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}`, localPort: 40_000 };
	const [over, underway] = ["127.0.0.1", "127.0.0.2"].map((host) =>
		connect({ host, port: Number(new URL(url).port), ...from }).on("error", () => undefined),
	);
	onTestFinished(() => void underway?.destroy());
	await Promise.all([over, underway].map((socket) => socket && once(socket, "connect")));
	over?.destroy();
	await expect.poll(() => underway?.closed, { timeout: 20_000 }).toBe(true);
});

describe("a certificate of a client that ends", () => {
	test("is not answered for on a connection that was opened before", async () => {
		const { url } = await agent(files());
		const client = ca.issue("service", "DNS:service");
		const kept = new Agent({ keepAlive: true, maxSockets: 1 });
		onTestFinished(() => kept.destroy());
		expect(await ask(url, client, { agent: kept })).toBe(200);
		const isKept = () => Object.keys(kept.freeSockets).length > 0;
		await expect.poll(isKept).toBe(true);
		vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 2 * 86_400_000 });
		onTestFinished(() => void vi.useRealTimers());
		expect(await ask(url, client, { agent: kept })).toBe(200);
		await expect.poll(() => Object.values(kept.sockets).length).toBe(0);
		expect(isKept()).toBe(false);
	});

	test.each(["TLSv1.2", "TLSv1.3"] as const)("opens no other one by the session of that, over %s", async (version) => {
		const { url } = await agent(files());
		const client = ca.issue("service", "DNS:service");
		const session = await sessionOf(url, client, version);
		expect(await ask(url, undefined, { session, minVersion: version, maxVersion: version })).toMatch(/^E/);
	});

	test("is what the log says", async () => {
		const { url, lines } = await agent(files());
		expect(await ask(url, ca.issue("service", "DNS:service", -1))).toMatch(/^E/);
		await expect.poll(() => lines.join("")).toContain("TLS with a client failed: CERT_HAS_EXPIRED");
	});
});

describe("files that cannot be used are a fault of the start that names them", () => {
	const rows: readonly [what: string, spoil: (files: TlsFiles) => void, message: RegExp][] = [
		["no certificate", ({ certificate }) => rmSync(certificate), /cert\.pem cannot be used \(ENOENT\)/],
		["no key", ({ key }) => rmSync(key), /key\.pem cannot be used \(ENOENT\): expected a file/],
		[
			"certificate that is none",
			({ certificate }) => writeFileSync(certificate, "x"),
			/cert\.pem .*expected a certificate/,
		],
		["key that is none", ({ key }) => writeFileSync(key, "x"), /key\.pem .*expected a private key in PEM/],
		["authorities that are none", ({ clientCa }) => writeFileSync(clientCa, "x"), /ca\.pem .*expected certificates/],
		[
			"key of another",
			({ key }) => copyFileSync(ca.issue("x", "DNS:x").key, key),
			/key\.pem is not the key of .*cert\.pem/,
		],
		["key that all may read", ({ key }) => chmodSync(key, 0o644), /key\.pem has mode 0644, expected 0600, or 0640/],
		["key that the group may write", ({ key }) => chmodSync(key, 0o660), /key\.pem has mode 0660/],
	];
	test.each(rows)("%s", (_what, spoil, message) => {
		const spoilt = files();
		spoil(spoilt);
		expect(() => new AgentTls(spoilt, HOST, recordingLog().log)).toThrow(TlsError);
		expect(() => new AgentTls(spoilt, HOST, recordingLog().log)).toThrow(message);
	});

	test.skipIf(process.getuid?.() !== 0)("a key that the group may read is fine where it is root's", () => {
		const shared = files();
		chmodSync(shared.key, 0o640);
		expect(() => new AgentTls(shared, HOST, recordingLog().log)).not.toThrow();
		chownSync(shared.key, 1, 0);
		expect(() => new AgentTls(shared, HOST, recordingLog().log)).toThrow(/has mode 0640/);
	});
});

test.each([
	[`DNS:${HOST}`, 90, undefined],
	["DNS:cmp-02", 90, "WARNING.*the certificate has DNS:cmp-02, expected DNS:cmp-01"],
	["IP:192.0.2.1", 90, "WARNING.*expected DNS:cmp-01"],
	[`DNS:${HOST}`, 5, "WARNING.*the certificate expires on"],
	[`DNS:${HOST}`, -1, "WARNING.*the certificate has expired on"],
])("a certificate with %s for %i days is warned of: %s", (altNames, days, warning) => {
	const { log, lines } = recordingLog();
	expect(() => new AgentTls(files(ca.issue(HOST, altNames, days)), HOST, log)).not.toThrow();
	expect(lines.join("")).toMatch(warning === undefined ? /^$/ : new RegExp(warning));
});

test("a certificate with the name by a wildcard only is warned of: the service wants it letter by letter", () => {
	const { log, lines } = recordingLog();
	const host = "cmp-01.example.org";
	expect(() => new AgentTls(files(ca.issue(host, "DNS:*.example.org", 90)), host, log)).not.toThrow();
	expect(lines.join("")).toMatch(
		/WARNING.*the certificate has DNS:\*\.example\.org, expected DNS:cmp-01\.example\.org/,
	);
});

test("authorities of clients that are all over are warned of: nobody is let in", () => {
	const used = files(ca.issue(HOST, `DNS:${HOST}`, 90));
	const over = readText(ca.issue("an old authority", "DNS:x", -1).cert);
	const warningsWith = (authorities: string) => {
		writeFileSync(used.clientCa, authorities);
		const { log, lines } = recordingLog();
		expect(() => new AgentTls(used, HOST, log)).not.toThrow();
		return lines.join("");
	};
	const valid = readText(ca.ca);
	expect(warningsWith(over)).toMatch(
		/WARNING.*no client is let in: the authority of \S+ca\.pem has expired on [^\n]+\n$/,
	);
	expect([over + valid, valid + over].map(warningsWith)).toEqual(["", ""]);
});

describe("new files are taken without a restart", () => {
	test.skipIf(process.getuid?.() !== 0)(
		"a key that may be read at last is taken, though not written again",
		async () => {
			const used = files();
			chmodSync(used.key, 0o640);
			const { lines, tls } = await agent(used);
			chownSync(used.key, 1, 0);
			writeFileSync(used.key, readText(used.key));
			await expect.poll(() => lines.join("")).toMatch(/ERROR .*new certificate refused, .*has mode 0640/);
			chownSync(used.key, 0, 0);
			await expect.poll(() => tls.metrics).toMatchObject({ taken: 2, refused: 1 });
		},
	);

	test("the next connection has the new certificate; what is broken changes nothing", async () => {
		const used = files();
		const { url, lines, tls } = await agent(used);
		const client = ca.issue("service", "DNS:service");
		expect(await ask(url, client)).toBe(200);

		const other = ca.issue("cmp-02", "DNS:cmp-02", 90);
		copyFileSync(other.cert, used.certificate);
		await expect.poll(() => lines.join("")).toMatch(/ERROR .*new certificate refused, .*is not the key of/);
		expect(await ask(url, client)).toBe(200);
		expect(tls.metrics).toMatchObject({ taken: 1, refused: 1 });

		copyFileSync(other.key, used.key);
		await expect.poll(() => lines.join("")).toContain("new certificate taken");
		expect(await ask(url, client)).toBe("ERR_TLS_CERT_ALTNAME_INVALID");
		expect(await ask(url, client, { servername: "cmp-02" })).toBe(200);
		expect(lines.join("")).toMatch(/WARNING .*expected DNS:cmp-01/);
		expect(tls.metrics).toMatchObject({ taken: 2, refused: 1 });
	});

	test("who was let in by an authority that is replaced is not answered for ever", async () => {
		const used = files();
		const { url, lines } = await agent(used);
		const client = ca.issue("service", "DNS:service");
		const connections = [0, 1].map(() => new Agent({ keepAlive: true, maxSockets: 1 }));
		onTestFinished(() => {
			for (const one of connections) one.destroy();
		});
		const [idle, busy] = connections;
		const closed = (one: Agent | undefined) => () => Object.keys(one?.freeSockets ?? {}).length === 0;
		for (const one of connections) expect(await ask(url, client, { agent: one })).toBe(200);
		copyFileSync(stranger.ca, used.clientCa);
		// It asks all the time, and so is never idle for long.
		let answer: number | string = 200;
		for (; answer === 200; await sleep(LOOK_MS)) answer = await ask(url, client, { agent: busy });
		expect(answer).toMatch(/^E/);
		await expect.poll(closed(idle)).toBe(true);
		expect(lines.join("")).toContain("new certificate taken");
		expect(await ask(url, stranger.issue("service", "DNS:service"))).toBe(200);
	});

	test("a file that goes and comes back", async () => {
		const used = files();
		const { url, lines } = await agent(used);
		rmSync(used.certificate);
		await expect.poll(() => lines.join("")).toContain("ENOENT");
		await sleep(5 * LOOK_MS);
		expect(lines.filter((line) => line.includes("ENOENT"))).toHaveLength(1);
		expect(await ask(url, ca.issue("service", "DNS:service"))).toBe(200);
	});

	test("a file that cannot even be looked at, and can be again", async () => {
		const used = files();
		const { url, lines, tls } = await agent(used);
		rmSync(used.clientCa);
		symlinkSync(used.clientCa, used.clientCa);
		await expect.poll(() => lines.join("")).toMatch(/ERROR .*new certificate refused, .*ca\.pem .*\(ELOOP\)/);
		await sleep(5 * LOOK_MS);
		expect(tls.metrics).toMatchObject({ taken: 1, refused: 1 });
		expect(await ask(url, ca.issue("service", "DNS:service"))).toBe(200);
		rmSync(used.clientCa);
		copyFileSync(ca.ca, used.clientCa);
		await expect.poll(() => tls.metrics).toMatchObject({ taken: 2, refused: 1 });
	});
});
