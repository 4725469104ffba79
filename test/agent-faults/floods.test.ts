import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, TLSSocket } from "node:tls";
import { afterAll, expect, onTestFinished } from "vitest";
import type { Mutual } from "../bench/agent-rig.ts";
import { memory } from "../bench/children.ts";
import { quantile } from "../bench/statistics.ts";
import { row, seconds } from "../faults/rows.ts";
import { createCa } from "../support/certificates.ts";
import { populatePci, temporaryHost } from "../support/sysfs.ts";
import { AgentProcess } from "./agent-process.ts";

const HOST = "cmp-01";
const FLOOD = `${import.meta.dirname}/../../dist/test/agent-faults/flood.js`;
const FLOOD_MS = 10_000;
const milliseconds = (value: number) => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const SCANS = 'novacompat_agent_scans_total{outcome="done"}';

const ca = createCa();
afterAll(() => ca.remove());
const MUTUAL: Mutual = {
	ca: ca.ca,
	agent: ca.issue(HOST, `DNS:${HOST}`),
	client: ca.issue("service", "DNS:service"),
};

function startAgent(tls?: Mutual): Promise<AgentProcess> {
	const host = temporaryHost();
	populatePci(host.sysfs, { address: "0000:3b:10.0", driver: "mlx5_vfio_pci" });
	return AgentProcess.start(host, 1, HOST, [], tls);
}

/** Milliseconds of requests over one connection, one after the other, for so long. */
async function latencies(agent: AgentProcess, duration: number): Promise<readonly number[]> {
	const times: number[] = [];
	for (const end = performance.now() + duration; performance.now() < end; await sleep(5)) {
		const { status, took } = await agent.ask("/v1/snapshot");
		if (status === 200) times.push(took);
	}
	return times;
}

/** Who floods, the words for flood.ts, how many cores the agent may take for it, and over what. */
const FLOODS: readonly (readonly [who: string, words: readonly string[], cores: number, tls?: Mutual])[] = [
	["500 connections that ask all the time", [], 1],
	["the same over mTLS", ["ask", MUTUAL.ca, MUTUAL.client.cert, MUTUAL.client.key], 1, MUTUAL],
	["without a certificate, handshakes all the time", ["handshakes"], 1, MUTUAL],
	// The matrix has the flood of requests. Here that it lives is the point, and others are answered: its thread may be busy.
	["300 connections that send 1,700 requests at once, again and again", ["pipelined"], 1.5],
];
/** 503, or cut off, is what who floods may expect. */
const ANSWERS = ["200", "503", "broken", "handshakes", "cut off"];

for (const [who, words, most, tls] of FLOODS) {
	row(68, who, `agent <= ${most} core, >= 7 scans in 10 s, others p99 < 100 ms, 256 MB`, async (measure) => {
		const agent = await startAgent(tls);
		// Who floods has a machine of his own: here he gets what nobody else wants, scans among them.
		const flood = spawn("nice", ["-n", "19", process.execPath, FLOOD, String(agent.port), ...words]);
		onTestFinished(() => void flood.kill("SIGKILL"));
		await once(flood.stdout, "data");
		const [cpu, scans] = [agent.cpu(), await agent.metric(SCANS)];
		const started = performance.now();
		const others = quantile(await latencies(agent, FLOOD_MS), 0.99);
		const elapsed = (performance.now() - started) / 1000;
		const done = (await agent.metric(SCANS)) - scans;
		const cores = (agent.cpu() - cpu) / elapsed;
		flood.stdin.end();
		const [report] = (await once(flood.stdout, "data")) as [Buffer];
		const counts = JSON.parse(report.toString()) as Readonly<Record<string, number>>;
		const lines = agent.log().split("\n").length;
		measure(`${cores.toFixed(2)} cores, ${done} scans in ${elapsed.toFixed(0)} s, others ${milliseconds(others)}`);
		const { peak } = memory(agent.pid);
		measure(`at most ${peak.toFixed(0)} MB, ${lines} lines of log, ${JSON.stringify(counts)}`);
		expect(cores).toBeLessThanOrEqual(most);
		expect(others).toBeLessThan(100);
		expect(done).toBeGreaterThanOrEqual(7);
		expect(lines).toBeLessThan(200);
		expect(peak).toBeLessThan(256);
		expect(Object.keys(counts).filter((status) => !ANSWERS.includes(status))).toEqual([]);
		expect((await agent.ask("/v1/snapshot")).status).toBe(200);
	});
}

/** How a client begins that sends a byte a second from then on. */
type Begin = (port: number, localAddress: string) => Socket;
const HEAD = "GET /v1/snapshot HTTP/1.1\r\nHost: cmp-01\r\nX: ";
const IDENTITY = {
	ca: readFileSync(MUTUAL.ca),
	cert: readFileSync(MUTUAL.client.cert),
	key: readFileSync(MUTUAL.client.key),
	servername: HOST,
};

/** Over TLS they come from ten addresses, because one that begins too many connections is cut off. */
const DRIPS: readonly (readonly [what: string, begin: Begin, addresses: number, tls?: Mutual])[] = [
	["of a request", (port) => begun(connect(port, "127.0.0.1"), HEAD), 1],
	[
		"of a request over mTLS",
		(port, localAddress) =>
			begun(connectTls({ socket: connect({ host: "127.0.0.1", port, localAddress }), ...IDENTITY }), HEAD),
		10,
		MUTUAL,
	],
	[
		"of a handshake",
		(port, localAddress) => begun(connect({ host: "127.0.0.1", port, localAddress }), "\x16\x03\x01\x02\x00\x01"),
		10,
		MUTUAL,
	],
];

function begun(socket: Socket, text: string): Socket {
	socket.on("error", () => undefined).write(text);
	return socket;
}

for (const [what, begin, addresses, tls] of DRIPS) {
	row(69, `500 sockets that send a byte a second ${what}`, "p99 of others < 100 ms, cut off", async (measure) => {
		const agent = await startAgent(tls);
		const sockets: Socket[] = [];
		const drip = setInterval(() => {
			for (const socket of sockets) if (socket.writable) socket.write("x");
		}, 1_000);
		onTestFinished(() => {
			clearInterval(drip);
			for (const socket of sockets) socket.destroy();
		});
		for (let number = 0; number < 500; number++) {
			sockets.push(begin(agent.port, `127.0.2.${1 + (number % addresses)}`));
		}
		const secure = sockets
			.filter((socket) => socket instanceof TLSSocket)
			.map((socket) => once(socket, "secureConnect"));
		await Promise.all(sockets.map((socket) => once(socket, "connect")));
		const waiting = await agent.metric("novacompat_agent_connections");
		// Our own part of the handshakes is not the agent's.
		await Promise.allSettled(secure);
		const started = performance.now();
		const times = await latencies(agent, 3_000);
		await expect.poll(() => agent.metric("novacompat_agent_connections"), { timeout: 20_000 }).toBe(1);
		const cut = performance.now() - started;
		const p99 = quantile(times, 0.99);
		measure(`p99 ${milliseconds(p99)} of ${times.length} beside ${waiting - 1}; cut off after ${seconds(cut)}`);
		expect(waiting - 1).toBeGreaterThanOrEqual(450);
		expect(p99).toBeLessThan(100);
		expect(cut).toBeLessThan(12_000);
	});
}

/** Two requests of as many headers as node:http reads of one: each of 16 letters, 16 KiB of them in all. */
const HEADERS = Array.from({ length: 995 }, (_, index) => `x${1_000_000 + index}:x${1_000_000 + index}\r\n`).join("");
const STUFFED = `GET /livez HTTP/1.1\r\nHost: cmp-01\r\n${HEADERS}\r\n`.repeat(2);

row(68, "1,000 sockets that send two requests with 1,000 headers each", "128 MB, all answered", async (measure) => {
	const agent = await startAgent();
	const sockets = Array.from({ length: 1_000 }, () => connect(agent.port, "127.0.0.1").on("error", () => undefined));
	onTestFinished(() => {
		for (const socket of sockets) socket.destroy();
	});
	await Promise.all(sockets.map((socket) => once(socket, "connect")));
	const answered = sockets.map((socket) => once(socket, "data"));
	for (const socket of sockets) socket.write(STUFFED);
	await Promise.all(answered);
	const { peak } = memory(agent.pid);
	measure(`at most ${peak.toFixed(0)} MB`);
	expect(peak).toBeLessThan(128);
	expect((await agent.ask("/v1/snapshot")).status).toBe(200);
});

row(69, "1,024 connections that were answered, and stay", "others answered", async (measure) => {
	const agent = await startAgent();
	const sockets: Socket[] = [];
	onTestFinished(() => {
		for (const socket of sockets) socket.destroy();
	});
	// As many as an address may ask in a second, and no more, get an answer at once.
	for (let number = 0; number < 1_024; number++) {
		const socket = connect(agent.port, "127.0.0.1").on("error", () => undefined);
		sockets.push(socket);
		socket.write("GET /livez HTTP/1.1\r\nHost: cmp-01\r\n\r\n");
		await once(socket, "data");
	}
	const answer = () =>
		agent.ask("/v1/snapshot").then(
			({ status }) => status,
			() => "refused",
		);
	await expect.poll(answer, { timeout: 10_000 }).toBe(200);
	measure(`${sockets.filter((socket) => socket.closed).length} closed`);
});
