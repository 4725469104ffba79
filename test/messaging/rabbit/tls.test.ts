import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import tls from "node:tls";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { newId } from "../../../src/messaging/message.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { type Certificate, createCa, type TestCa } from "../../support/certificates.ts";
import { freePort } from "../../support/free-port.ts";
import { recordingLog } from "../../support/log.ts";
import { askPython } from "../../support/python.ts";
import { GUEST, startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { Inbox } from "../inbox.ts";

type Options = Readonly<Record<string, unknown>>;

let ca: TestCa;
let otherCa: TestCa;
let client: Certificate;
let stranger: Certificate;
let broker: TestBroker;
/** Where the broker speaks TLS, to whoever has a certificate. */
let tlsPort: number;

beforeAll(async () => {
	[ca, otherCa] = [createCa(), createCa()];
	const server = ca.issue("broker", "IP:127.0.0.1");
	client = ca.issue("nova", "DNS:nova");
	stranger = otherCa.issue("nova", "DNS:nova");
	tlsPort = await freePort();
	broker = await startRabbitMq(
		`listeners.ssl.1 = 127.0.0.1:${tlsPort}
ssl_options.cacertfile = ${ca.ca}
ssl_options.certfile = ${server.cert}
ssl_options.keyfile = ${server.key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
`,
		["rabbitmq_auth_mechanism_ssl"],
	);
	await broker.addUser("nova");
	await broker.ctl("set_permissions", "nova", ".*", ".*", ".*");
});
afterAll(async () => {
	await broker?.stop();
	ca.remove();
	otherCa.remove();
});

function open(port: number, options: Options) {
	const { log, lines } = recordingLog();
	const transport = new RabbitTransport({
		url: parseTransportUrl(`rabbit://${GUEST}@127.0.0.1:${port}/`),
		options: RabbitOptions.parse(options),
		connectionName: `novacompat-${newId()}`,
		log,
	});
	onTestFinished(() => transport.close());
	return { transport, lines };
}

/** A message there and back. */
async function roundTrip(transport: RabbitTransport): Promise<void> {
	const inbox = new Inbox();
	const queue = transport.newReplyQueue();
	await transport.listenForReplies(queue, inbox.ack);
	await transport.publish({ kind: "reply", queue }, Buffer.from("x"), { timeout: 5_000 });
	await inbox.at(0);
}

/** The broker behind another certificate. */
async function startTlsProxy({ cert, key }: Certificate, options: tls.SecureContextOptions = {}): Promise<number> {
	const server = tls
		.createServer({ cert: readFileSync(cert), key: readFileSync(key), ...options }, (socket) => {
			const toBroker = connect(broker.port, "127.0.0.1");
			for (const [from, to] of [
				[socket, toBroker],
				[toBroker, socket],
			] as const) {
				from.on("error", () => to.destroy()).on("close", () => to.destroy());
				from.pipe(to);
			}
		})
		.listen(0, "127.0.0.1");
	server.on("tlsClientError", () => undefined);
	onTestFinished(() => void server.close());
	await once(server, "listening");
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("no port");
	return address.port;
}

function withClient({ cert, key }: Certificate): Options {
	return { ssl_cert_file: cert, ssl_key_file: key };
}

describe("TLS", () => {
	test("with ssl_ca_file and a client certificate: messages pass", async () => {
		await roundTrip(open(tlsPort, { ssl: true, ssl_ca_file: ca.ca, ...withClient(client) }).transport);
	});

	test("with the key in the file of the certificate, as Python reads it", async () => {
		const both = `${client.cert}.both`;
		writeFileSync(both, readFileSync(client.cert, "utf8") + readFileSync(client.key, "utf8"));
		await roundTrip(open(tlsPort, { ssl: true, ssl_ca_file: ca.ca, ssl_cert_file: both }).transport);
	});

	test("with ssl_verify false any certificate will do", async () => {
		const expired = otherCa.issue("elsewhere", "DNS:elsewhere", -1);
		await roundTrip(open(await startTlsProxy(expired), { ssl: true, ssl_verify: false }).transport);
	});

	test("SEC-01: a peer without ssl_ca_file verifies too: Python hands over ssl=True then, and nothing else", () => {
		const CONNECT = `
import amqp, logging, ssl
from unittest import mock
from oslo_messaging._drivers import impl_rabbit
section = mock.Mock(ssl=True, ssl_version="", ssl_key_file="", ssl_cert_file="", ssl_ca_file="")
try:
    amqp.Connection(question, ssl=impl_rabbit.Connection._fetch_ssl_params(section), connect_timeout=5).connect()
except ssl.SSLCertVerificationError as error:
    answer(error.verify_message)`;
		expect(askPython(CONNECT, `127.0.0.1:${tlsPort}`)).toMatch(/certificate/);
	});

	test("SEC-01: nothing older than TLS 1.2, whatever the defaults of Node.js are", async () => {
		const { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS } = tls;
		onTestFinished(() => void Object.assign(tls, { DEFAULT_MIN_VERSION, DEFAULT_CIPHERS }));
		Object.assign(tls, { DEFAULT_MIN_VERSION: "TLSv1", DEFAULT_CIPHERS: "DEFAULT@SECLEVEL=0" });
		const port = await startTlsProxy(ca.issue("broker", "IP:127.0.0.1"), { maxVersion: "TLSv1.1" });
		const older = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
		await once(older, "secureConnect");
		expect(older.getProtocol()).toBe("TLSv1.1");
		older.destroy();
		const { lines } = open(port, { ssl: true, ssl_ca_file: ca.ca });
		await expect.poll(() => lines.join("")).toMatch(/ERR_SSL_\w*(PROTOCOL|VERSION)\w*: .*; next attempt/);
	});

	test("without ssl_enforce_hostname_verification the certificate may be for another name", async () => {
		const port = await startTlsProxy(ca.issue("elsewhere", "DNS:elsewhere"));
		const options = { ssl: true, ssl_ca_file: ca.ca, ssl_enforce_hostname_verification: false };
		await roundTrip(open(port, options).transport);
	});

	/** what is wrong, port, options, what the log says */
	const FAULTS: readonly (readonly [what: string, port: () => number | Promise<number>, () => Options, RegExp])[] = [
		[
			"the certificate of the broker has expired",
			() => startTlsProxy(ca.issue("broker", "IP:127.0.0.1", -1)),
			() => ({ ssl_ca_file: ca.ca }),
			/certificate has expired: renew the certificate of the broker/,
		],
		[
			"the broker's CA is another one",
			() => tlsPort,
			() => ({ ssl_ca_file: otherCa.ca, ...withClient(client) }),
			/certificate.*: set ssl_ca_file to the CA that signed the certificate of the broker/,
		],
		[
			"SEC-01: the broker's CA is none that everybody knows",
			() => tlsPort,
			() => withClient(client),
			/certificate.*: set ssl_ca_file to the CA that signed the certificate of the broker/,
		],
		[
			"the certificate is for another name",
			() => startTlsProxy(ca.issue("elsewhere", "DNS:elsewhere")),
			() => ({ ssl_ca_file: ca.ca }),
			/127\.0\.0\.1 is not in the cert's list.*the certificate is for another name than that in transport_url/,
		],
		[
			"the broker wants a client certificate",
			() => tlsPort,
			() => ({ ssl_ca_file: ca.ca }),
			/ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: the broker wants ssl_cert_file and ssl_key_file/,
		],
		[
			"the client certificate is of another CA",
			() => tlsPort,
			() => ({ ssl_ca_file: ca.ca, ...withClient(stranger) }),
			/ERR_SSL_.*ALERT.*: the broker does not accept ssl_cert_file/,
		],
		[
			"the client certificate has expired",
			() => tlsPort,
			() => ({ ssl_ca_file: ca.ca, ...withClient(ca.issue("nova", "DNS:nova", -1)) }),
			/ERR_SSL_\w*ALERT_CERTIFICATE_EXPIRED: renew ssl_cert_file/,
		],
		[
			"the port is a plain one",
			() => broker.port,
			() => ({ ssl_ca_file: ca.ca }),
			/ERR_SSL_WRONG_VERSION_NUMBER: this is not a TLS port: check ssl and the port/,
		],
		["the port is a TLS port", () => tlsPort, () => ({ ssl: false }), /this is a TLS port: set ssl/],
		[
			"a file is missing",
			() => tlsPort,
			() => ({ ssl_ca_file: `${ca.ca}.missing` }),
			/ENOENT.*ca\.pem\.missing.*: check ssl_ca_file, ssl_cert_file and ssl_key_file/,
		],
		[
			"a file is not what it should be",
			() => tlsPort,
			() => ({ ssl_ca_file: ca.ca, ssl_cert_file: client.key, ssl_key_file: client.cert }),
			/: check ssl_ca_file, ssl_cert_file and ssl_key_file/,
		],
	];
	test.each(FAULTS)("row 17: %s: an error that says so, and no hot loop", async (_what, port, options, says) => {
		const { lines } = open(await port(), { ssl: true, ...options() });
		await expect.poll(() => lines.join("")).toContain("next attempt");
		expect(lines).toEqual([expect.stringMatching(says)]);
		expect(lines[0]).toMatch(/ ERROR .*; next attempt in \d+\.\d s/);
	});
});

describe("rabbit_login_method", () => {
	/** method, user that the broker has */
	const METHODS = [
		["AMQPLAIN", "guest"],
		["PLAIN", "guest"],
		["EXTERNAL", "nova"],
	] as const;
	test.each(METHODS)("%s", async (method, user) => {
		const options = { ssl: true, ssl_ca_file: ca.ca, ...withClient(client), rabbit_login_method: method };
		await roundTrip(open(tlsPort, options).transport);
		const connections = await broker.ctl("list_connections", "user", "auth_mechanism", "ssl", "state");
		expect(connections.split("\n")).toContain(`${user}\t${method}\ttrue\trunning`);
	});
});

describe("something else on the port", () => {
	async function listen(greeting: Buffer): Promise<number> {
		const server = createServer((socket) => socket.on("error", () => undefined).write(greeting)).listen(0, "127.0.0.1");
		onTestFinished(() => void server.close());
		await once(server, "listening");
		const address = server.address();
		if (address === null || typeof address === "string") throw new Error("no port");
		return address.port;
	}

	test("row 24: a frame of 4 GiB is refused before it is there", async () => {
		const before = process.memoryUsage().arrayBuffers;
		const { lines } = open(await listen(Buffer.from([1, 0, 0, 0xff, 0xff, 0xff, 0xff])), {});
		await expect.poll(() => lines.join("")).toMatch(/Frame size 4294967295 exceeds.*: this is not an AMQP port/);
		expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * 1024 * 1024);
	});

	test("row 24: a broker's frame is no larger than what was agreed on", async () => {
		const { lines } = open(await listen(Buffer.concat([Buffer.from([1, 0, 0, 0, 2, 0, 1]), Buffer.alloc(99)])), {});
		await expect.poll(() => lines.join("")).toMatch(/Frame size 131073 exceeds maxFrameSize 131072/);
	});

	test("row 23: a web server", async () => {
		const { lines } = open(await listen(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")), {});
		await expect.poll(() => lines.join("")).toMatch(/ WARNING .*: this is not an AMQP port; next attempt/);
	});
});
