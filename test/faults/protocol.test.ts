import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type Certificate, createCa } from "../support/certificates.ts";
import { GUEST, PASSWORD } from "../support/rabbitmq.ts";
import { Process } from "./processes.ts";
import { FaultProxy } from "./proxy.ts";
import { type Rig, startRig } from "./rig.ts";
import { row, seconds } from "./rows.ts";

const BACK_AFTER_QUEUE_DELETED = 2_000;
const BACK_ON_SAME_CONNECTION = 1_000;
const ATTEMPTS_PER_SECOND = 5;

let rig: Rig;
beforeAll(async () => {
	rig = await startRig();
	await rig.caller.untilAnswered(rig.world.question(0));
});
afterEach(() => rig.check());
afterAll(() => rig?.close());

async function portOf(server: Server): Promise<number> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("no port");
	return address.port;
}

row(13, "our queue deleted under us", "consuming again <= 2 s", async (measure) => {
	const taken: number[] = [];
	for (const queue of ["migration_compat.faults", "migration_compat"]) {
		await rig.fault(async () => void (await rig.broker.ctl("delete_queue", queue)));
		taken.push(await rig.back(30_000, rig.caller, { ...rig.world.question(0), key: queue }));
	}
	measure(taken.map(seconds).join(", "));
	expect(Math.max(...taken)).toBeLessThan(BACK_AFTER_QUEUE_DELETED);
});

row(14, "queue that exists with other arguments", "told, answers, not ready, <= 1 attempt per 5 s", async (measure) => {
	const { service, proxy, caller, close } = await rig.apart({
		options: { http: { listen: "127.0.0.1:0" } },
		before: async (caller) => {
			await (await caller.channel()).assertQueue("migration_compat", { durable: true });
		},
	});
	const [, told] = await service.says(/(PRECONDITION_FAILED.*durable.*migration_compat)/);
	const [, http = ""] = await service.says(/health and metrics on (\S+)/);
	await caller.untilAnswered(rig.world.question(0));
	const refusals = () => service.log.split("PRECONDITION_FAILED").length - 1;
	const before = [refusals(), proxy.attempts.length] as const;
	const start = performance.now();
	await sleep(10_000);
	const watched = performance.now() - start;
	// On a connection that is there, or on two new ones.
	const attempts = Math.max(refusals() - before[0], (proxy.attempts.length - before[1]) / 2);
	const ready = await fetch(`${http}/readyz`);
	const states = [told ? "told" : "not told", ready.ok ? "ready" : "not ready"].join(", ");
	measure(`${states}, ${attempts} attempts in ${seconds(watched)}`);
	const why = await ready.text();
	await close();
	expect([ready.status, why]).toEqual([503, "service: there with other arguments: queue migration_compat"]);
	expect(service.log).toMatch(/ ERROR .*PRECONDITION_FAILED/);
	expect(attempts).toBeLessThanOrEqual(watched / 5_000);
});

row(15, "channel closed by the broker (406)", "back <= 1 s, on the same connection", async (measure) => {
	const { caller, url, close } = await rig.apart();
	await (await caller.channel()).assertExchange("odd", "headers", { durable: true });
	const line = await FaultProxy.start(rig.broker.port);
	const echo = await Process.echo([{ url: url.replace(/:\d+\//, `:${line.port}/`), topic: "echo" }]).ready();
	await caller.untilAnswered({ key: "echo", fields: { method: "echo", args: { x: 1 } } });
	const before = line.attempts.length;
	// Declaring a topic exchange of that name is refused, and costs the channel that publishes.
	await caller.ask({ key: "echo", fields: { method: "publish", args: { exchange: "odd" } } });
	await echo.says(/PRECONDITION_FAILED|closed|lost/i, 5_000).catch(() => undefined);
	const back = await caller.untilAnswered({ key: "echo", fields: { method: "echo", args: { x: 2 } } });
	const connections = line.attempts.length - before;
	measure(`back ${seconds(back)}, ${connections} new connections`);
	await echo.end();
	line.close();
	await close();
	expect(back).toBeLessThan(BACK_ON_SAME_CONNECTION);
	expect(connections).toBe(0);
});

row(
	16,
	"access refused after a change of the password",
	"told, no password, <= 1 attempt per 5 s, back <= 10 s",
	async (measure) => {
		const { vhost, service, proxy, caller, close } = await rig.apart();
		await caller.untilAnswered(rig.world.question(0));
		let [attempts, refused] = [0, 0];
		await rig.fault(async () => {
			await rig.broker.ctl("change_password", "novacompat", "another");
			await rig.broker.ctl("close_all_connections", "-p", vhost, "test");
			await service.says(/ACCESS[-_]REFUSED/);
			const [before, start] = [proxy.attempts.length, performance.now()];
			await sleep(6_000);
			attempts = proxy.attempts.length - before;
			refused = performance.now() - start;
			await rig.broker.ctl("change_password", "novacompat", PASSWORD);
		});
		const back = await rig.back(40_000, caller);
		measure(`${attempts} attempts in ${seconds(refused)}, back ${seconds(back)}`);
		await close();
		expect(service.log).toMatch(/ ERROR .*ACCESS[-_]REFUSED/i);
		expect(service.log).not.toContain(PASSWORD);
		// At the usual pace it is two at least.
		expect(attempts).toBeLessThanOrEqual(refused / 5_000);
		expect(back).toBeLessThan(10_000);
	},
);

row(17, "TLS: expired, of another authority, plain port", "three messages, never connected", async (measure) => {
	const [ours, other] = [createCa(), createCa()];
	const name = ["127.0.0.1", "IP:127.0.0.1"] as const;
	const servers = {
		valid: terminator(ours.issue(...name)),
		expired: terminator(ours.issue(...name, -1)),
		other: terminator(other.issue(...name)),
	};
	const messages = new Map<string, string>();
	try {
		for (const [kind, server] of Object.entries(servers))
			messages.set(kind, await refusal(await portOf(server), ours.ca));
		messages.set("plain", await refusal(rig.broker.port, ours.ca));
	} finally {
		for (const server of Object.values(servers)) server.close();
		for (const authority of [ours, other]) authority.remove();
	}
	const refusals = ["expired", "other", "plain"].map((name) => messages.get(name) ?? "");
	measure(refusals.join(" | ") || "none");
	expect(messages.get("valid")).toBe("");
	expect(new Set(refusals).size).toBe(3);
	expect(refusals).not.toContain("");
});

/** Speaks TLS to clients, and plainly to the broker. */
function terminator({ cert, key }: Certificate): Server {
	return createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (client) => {
		const broker = connect(rig.broker.port, "127.0.0.1");
		for (const socket of [client, broker]) {
			socket.on("error", () => undefined).on("close", () => [client, broker].forEach((one) => void one.destroy()));
		}
		client.pipe(broker).pipe(client);
	}).on("tlsClientError", () => undefined);
}

/** Why a service cannot connect with TLS; nothing when it can. */
async function refusal(port: number, caFile: string): Promise<string> {
	const service = Process.serve({
		transport_url: `rabbit://${GUEST}@127.0.0.1:${port}/`,
		oslo_messaging_rabbit: { ssl: true, ssl_ca_file: caFile },
		host: "tls",
	});
	try {
		const [text, why] = await service.says(/ ready: |(?:WARNING|ERROR) \S+ \[-\] (?:rabbit \S+: )?(.*?); next attempt/);
		return text.includes(" ready: ") ? "" : (why ?? "").slice(0, 60);
	} finally {
		await service.end();
	}
}

row(
	18,
	"the same request twice, and once more after a lost acknowledgement",
	"1 run of the engine",
	async (measure) => {
		const { proxy, service, caller, close } = await rig.apart();
		await caller.untilAnswered(rig.world.question(0));
		const runs = () => service.log.split("live migration cmp-01 -> ").length - 1;
		const before = runs();
		const ids = await caller.ask(rig.world.question(1));
		await caller.ask({ ...rig.world.question(1), ids });
		await caller.answer(ids.msgId, 5_000);
		await caller.ask({ ...rig.world.question(1), ids });
		await sleep(500);
		const twice = runs() - before;
		// What we send is lost now, so the broker gets neither the reply nor the acknowledgement and hands the request out again.
		const slow = rig.world.proxies[1];
		slow?.set({ latency: 300 });
		await rig.fault(async () => {
			await caller.ask(rig.world.question(2));
			await sleep(200);
			proxy.set({ lost: ["to-server"] });
			await sleep(1_500);
			proxy.cut();
			proxy.heal();
		});
		slow?.heal();
		await caller.settle(10_000);
		const redelivered = runs() - before - twice;
		measure(`${twice} for three, ${redelivered} for a redelivered one`);
		await close();
		expect(caller.answers.length).toBeGreaterThanOrEqual(caller.asked.length);
		expect([twice, redelivered]).toEqual([1, 1]);
	},
);

row(19, "message that kills the process", "<= 2 crashes", async (measure) => {
	const { url, caller, close } = await rig.apart();
	const servers = [{ url, topic: "echo" }];
	let echo = await Process.echo(servers).ready();
	await caller.ask({ key: "echo", fields: { method: "crash" } });
	let crashes = 0;
	for (; crashes < 6; crashes++) {
		await Promise.race([echo.exited(), sleep(5_000)]);
		if (echo.running) break;
		echo = Process.echo(servers);
	}
	const answer = await caller
		.untilAnswered({ key: "echo", fields: { method: "echo", args: { x: 1 } } }, 10_000)
		.catch(String);
	measure(
		`${crashes === 6 ? "6 or more" : crashes} crashes, then ${typeof answer === "number" ? "an answer" : answer}`,
	);
	await echo.end();
	await close();
	expect(crashes).toBeLessThanOrEqual(2);
	expect(answer).toBeTypeOf("number");
});

row(23, "something that speaks HTTP on the port", "no crash, < 5 % CPU, <= 5 attempts/s", async (measure) => {
	const web = createServer((socket) => socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n"));
	const { attempts, cpu, passed, running } = await facing(web, 6_000);
	measure(`${(cpu * 100).toFixed(1)} % CPU, ${attempts} attempts in ${passed.toFixed(0)} s`);
	expect(running).toBe(true);
	expect(cpu).toBeLessThan(0.05);
	expect(attempts).toBeLessThanOrEqual(ATTEMPTS_PER_SECOND * passed);
});

row(24, "a frame of 4 GiB is announced", "rss < +10 MB", async (measure) => {
	const header = Buffer.from([1, 0, 0, 0xff, 0xff, 0xff, 0xf0]);
	const liar = createServer((socket) => {
		socket.on("error", () => undefined);
		socket.once("data", () => {
			socket.write(header);
			socket.write(Buffer.alloc(1024 * 1024));
		});
	});
	const { growth, running } = await facing(liar, 5_000);
	measure(`${growth.toFixed(0)} MB more`);
	expect(running).toBe(true);
	expect(growth).toBeLessThan(10);
});

/** What becomes of a service whose broker is something else. */
async function facing(server: Server, duration: number) {
	const sockets: Socket[] = [];
	server.on("connection", (socket) => sockets.push(socket));
	const port = await portOf(server);
	const service = Process.serve({ transport_url: `rabbit://${GUEST}@127.0.0.1:${port}/`, host: "odd" });
	try {
		await service.says(/ (WARNING|ERROR) /);
		const before = { cpu: service.cpu(), rss: service.rss(), attempts: sockets.length };
		const start = performance.now();
		await sleep(duration);
		const passed = (performance.now() - start) / 1_000;
		return {
			passed,
			cpu: (service.cpu() - before.cpu) / passed,
			growth: service.rss() - before.rss,
			attempts: sockets.length - before.attempts,
			running: service.running,
		};
	} finally {
		await service.end();
		for (const socket of sockets) socket.destroy();
		server.close();
	}
}

// Last: it kills the broker that all share.
row(21, "20 instances reconnect after a restart", "all <= 10 s, <= 5 attempts/s each, spread", async (measure) => {
	const proxies = await Promise.all(Array.from({ length: 20 }, () => FaultProxy.start(rig.broker.port)));
	const servers = proxies.map(({ port }, index) => ({
		url: `rabbit://${GUEST}@127.0.0.1:${port}/`,
		topic: `herd_${index}`,
	}));
	// Four processes of five instances each, with connections and a back-off of their own.
	const processes = [0, 5, 10, 15].map((first) => Process.echo(servers.slice(first, first + 5)));
	const questions = servers.map(({ topic }) => ({ key: topic, fields: { method: "echo", args: { x: topic } } }));
	try {
		await Promise.all(questions.map((question) => rig.caller.untilAnswered(question)));
		const start = performance.now();
		await rig.fault(async () => {
			await rig.broker.kill();
			await rig.broker.start();
		});
		const back = await Promise.all(questions.map((question) => rig.back(30_000, rig.caller, question)));
		const times = proxies.map(({ attempts }) => attempts.filter((at) => at > start));
		// One attempt may be two connections, one after the other.
		const rates = times.map(mostInOneSecond);
		const firsts = times.map(([at = 0]) => at);
		const spread = Math.max(...firsts) - Math.min(...firsts);
		const [slowest, rate] = [Math.max(...back), Math.max(...rates)];
		measure(
			`all ${seconds(slowest)}, <= ${rate} connections in a second each, the first ones within ${seconds(spread)}`,
		);
		expect(slowest).toBeLessThan(10_000);
		expect(rate).toBeLessThanOrEqual(ATTEMPTS_PER_SECOND);
		expect(spread).toBeGreaterThan(100);
	} finally {
		await Promise.all(processes.map((process) => process.end()));
		for (const proxy of proxies) proxy.close();
	}
});

/** `times` ascend. */
function mostInOneSecond(times: readonly number[]): number {
	return Math.max(0, ...times.map((start, index) => times.slice(index).filter((at) => at < start + 1_000).length));
}
