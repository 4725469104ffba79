import { setTimeout as sleep } from "node:timers/promises";
import { deflateSync } from "node:zlib";
import amqp from "amqplib";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { toJson } from "../../src/messaging/json.ts";
import { nested, publishRaw } from "../support/raw-publish.ts";
import { envelope, newId } from "./caller.ts";
import { bodies } from "./mutations.ts";
import { Process } from "./processes.ts";
import { type Rig, startRig } from "./rig.ts";
import { leastOf, row, seconds } from "./rows.ts";

const SNAPSHOT_KEPT = 2_000;
const KEY = "migration_compat";
const MEGABYTE = 1_000_000;
/** Of what is measured as a stall. */
const TRIES = 4;
const FUZZED = Number(process.env["FAULT_FUZZ"] ?? 10_000);
const SEED = Number(process.env["FAULT_SEED"] ?? Date.now() % 1_000_000);

let rig: Rig;
let echo: Process;
beforeAll(async () => {
	rig = await startRig();
	await rig.caller.untilAnswered(rig.world.question(0));
	echo = await Process.echo([{ url: rig.broker.url, topic: "echo" }]).ready();
});
afterEach(() => rig.check());
afterAll(async () => {
	await echo?.end();
	await rig?.close();
});

/** The service still answers, and nothing of what it was sent is left in its queue. */
async function unharmed(): Promise<void> {
	await rig.caller.untilAnswered(rig.world.question(0));
	expect(await left()).toBe(0);
	expect(rig.service.running).toBe(true);
}

async function left(): Promise<number> {
	const channel = await rig.caller.channel();
	await expect.poll(async () => (await channel.checkQueue(KEY)).messageCount, { timeout: 10_000 }).toBe(0);
	const columns = ["name", "messages", "--no-table-headers"];
	const line = (await rig.broker.ctl("list_queues", ...columns)).split("\n").find((one) => one.startsWith(`${KEY}\t`));
	return Number(line?.split("\t")[1]);
}

/** Sends a message whose inner text is given, as a call. */
async function call(inner: (ids: string) => string, key = "echo"): Promise<string> {
	const msgId = newId();
	rig.caller.asked.push({ id: msgId, sentAt: performance.now(), budget: 15_000 });
	const ids = `"_msg_id":"${msgId}","_reply_q":"${rig.caller.replyQueue}","_unique_id":"${newId()}"`;
	await rig.caller.publish(envelope(inner(ids)), { key });
	return msgId;
}

async function reply(msgId: string, patience = 2_000): Promise<string | undefined> {
	await rig.caller.answer(msgId, patience);
	return rig.caller.texts.find((text) => text.includes(msgId));
}

row(25, "bodies that are no JSON, no UTF-8, empty", "0 requeues, service goes on", async (measure) => {
	const odd = [
		"",
		"{",
		"null",
		"[]",
		"7",
		'"text"',
		"\u0000",
		Buffer.from([0xff, 0xfe, 0x80]),
		Buffer.alloc(1_000, 0xc3),
	];
	for (const body of odd) await rig.caller.publish(body, { key: KEY });
	for (const contentType of ["text/plain", "application/json; charset=utf-8"]) {
		await rig.caller.publish("{}", { key: KEY }, { contentType });
	}
	await unharmed();
	measure(`${odd.length + 2} bodies, 0 left`);
});

row(26, "a body of 100 MB", "stall < 50 ms, rss +50 MB at most after 60 s", async (measure) => {
	const before = rig.service.rss();
	const stall = await leastOf(TRIES, 50, async () => {
		await rig.service.stall();
		await rig.caller.publish(Buffer.alloc(100 * MEGABYTE, "a"), { key: KEY });
		await unharmed();
		return rig.service.stall();
	});
	const start = performance.now();
	while (rig.service.rss() - before > 50 && performance.now() - start < 60_000) await sleep(1_000);
	const growth = rig.service.rss() - before;
	measure(`stall ${stall} ms, ${growth.toFixed(0)} MB more after ${seconds(performance.now() - start)}`);
	expect(growth).toBeLessThan(50);
	expect(stall).toBeLessThan(50);
});

/** A call whose argument is this JSON text. */
const deep = (argument: string) => (ids: string) =>
	`{"method":"check_live_migration","args":{"request":${argument}},${ids}}`;

row(27, "4 MB of the worst JSON", "stall < 100 ms", async (measure) => {
	const inner = "{},".repeat(1_300_000);
	const stall = await leastOf(TRIES, 100, async () => {
		await rig.service.stall();
		await rig.caller.publish(`[${inner}{}]`, { key: KEY });
		await rig.caller.publish(envelope(deep(`[${inner}{}]`)("")), { key: KEY });
		// The most levels of objects that fit.
		await rig.caller.publish(envelope(deep(`${'{"a":'.repeat(500_000)}1${"}".repeat(500_000)}`)("")), { key: KEY });
		await unharmed();
		return rig.service.stall();
	});
	measure(`stall ${stall} ms`);
	expect(stall).toBeLessThan(100);
});

row(28, "a million levels deep", "no RangeError, stall +10 ms", async (measure) => {
	await rig.service.stall();
	await unharmed();
	const usual = await rig.service.stall();
	const depth = 1_000_000;
	const stall = await leastOf(TRIES, usual + 10, async () => {
		for (const [open, close] of [
			["[", "]"],
			// Too large to be read at all.
			['{"a":', "}"],
		] as const) {
			const text = open.repeat(depth) + (open === "[" ? "" : "1") + close.repeat(depth);
			await rig.caller.publish(text, { key: KEY });
			await call(deep(text), KEY);
		}
		await unharmed();
		return rig.service.stall();
	});
	measure(`stall ${stall} ms (${usual} ms without)`);
	expect(rig.service.log).not.toContain("RangeError");
	expect(stall).toBeLessThan(usual + 10);
});

row(
	"28 (headers)",
	"AMQP headers 26,000 levels deep, or of a type unknown to us",
	"gone, same connection",
	async (measure) => {
		const connection = await amqp.connect(rig.broker.url.replace(/^rabbit:/, "amqp:"));
		connection.on("error", () => undefined);
		const channel = await connection.createChannel();
		const before = rig.proxy.attempts.length;
		const odd = [nested(6_000), nested(26_000), Buffer.from("L\0\0\0\0\0\0\0\x07", "latin1")];
		for (const header of odd) {
			publishRaw(channel, { exchange: "nova", key: KEY }, header);
			await unharmed();
		}
		await connection.close();
		const connections = rig.proxy.attempts.length - before;
		measure(`${odd.length} messages, ${connections} new connections`);
		expect(connections).toBe(0);
		expect(rig.service.log).toContain("without its properties");
	},
);

/** `oslo.version`, whether Python reads the message (oslo-messaging.md 3.2) */
const VERSIONS = [
	["2.0", true],
	["2.5", false],
	["1.0", false],
	["3.0", false],
	["2", false],
	[2, false],
	[null, false],
] as const;

row(29, "envelopes of other versions, and none", "answered as Python does", async (measure) => {
	const outcomes: boolean[] = [];
	for (const [version] of VERSIONS) {
		const { body, msgId } = request(version);
		await rig.caller.publish(body, { key: "echo" });
		outcomes.push((await reply(msgId, 500)) !== undefined);
	}
	const bare = request("2.0");
	await rig.caller.publish(bare.inner, { key: "echo" });
	const unwrapped = (await reply(bare.msgId)) !== undefined;
	measure(
		`${outcomes.filter(Boolean).length} of ${VERSIONS.length} versions, bare: ${unwrapped ? "answered" : "no answer"}`,
	);
	expect(outcomes).toEqual(VERSIONS.map(([, answered]) => answered));
	expect(unwrapped).toBe(true);
});

function request(version: unknown) {
	const msgId = newId();
	rig.caller.asked.push({ id: msgId, sentAt: performance.now(), budget: 15_000 });
	const fields = { method: "echo", args: { x: 1 }, _msg_id: msgId, _reply_q: rig.caller.replyQueue };
	const inner = JSON.stringify(fields);
	return { msgId, inner, body: envelope(inner, version) };
}

row(30, "oslo.message that is no text, or encoded twice", "dropped", async (measure) => {
	const odd = [7, null, {}, [], JSON.stringify(JSON.stringify({ method: "echo" })), "{", ""];
	for (const inner of odd) {
		await rig.caller.publish(JSON.stringify({ "oslo.version": "2.0", "oslo.message": inner }), { key: KEY });
	}
	await unharmed();
	measure(`${odd.length} dropped`);
});

row(31, "NaN, Infinity, 1e400", "answered", async (measure) => {
	const values = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"];
	const answers: (string | undefined)[] = [];
	for (const value of values)
		answers.push(await reply(await call((ids) => `{"method":"echo","args":{"x":${value}},${ids}}`)));
	measure(`${answers.filter(Boolean).length} of ${values.length}`);
	expect(answers).not.toContain(undefined);
});

row(32, "integers beyond 2^53", "the same digits back", async (measure) => {
	const values = ["9007199254740993", "18446744073709551615", "1180591620717411303424", "-9223372036854775809"];
	const exact: string[] = [];
	for (const value of values) {
		const text = await reply(await call((ids) => `{"method":"echo","args":{"x":${value}},${ids}}`));
		if (text?.includes(`\\"result\\":${value},`) || text?.includes(`\\"result\\": ${value},`)) exact.push(value);
	}
	measure(`${exact.length} of ${values.length} exact`);
	expect(exact).toEqual(values);
});

row(33, "__proto__, constructor and prototype as keys and names", "no pollution", async (measure) => {
	const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
	let answered = 0;
	for (const name of names) {
		const polluting = `{"${name}":{"polluted":true,"x":{"${name}":{"polluted":true}}}}`;
		const messages = [
			(ids: string) => `{"method":"${name}","args":{},${ids}}`,
			(ids: string) => `{"method":"echo","namespace":"${name}","args":{},${ids}}`,
			(ids: string) => `{"method":"echo","args":${polluting},${ids}}`,
			(ids: string) => `{"method":"echo","args":{"x":${polluting}},${ids},"${name}":{"polluted":true}}`,
			(ids: string) => `{"method":"echo","args":{"x":1},"_context_${name}":${polluting},${ids}}`,
		];
		for (const message of messages) if (await reply(await call(message))) answered++;
		await rig.caller.publish(`{"oslo.version":"2.0","oslo.message":"{}","${name}":{"polluted":true}}`, { key: "echo" });
	}
	const polluted = await reply(await call((ids) => `{"method":"is_polluted","args":{},${ids}}`));
	measure(`${answered} of ${names.length * 5} answered, polluted: ${polluted?.includes("false") ? "no" : "yes"}`);
	expect(polluted).toMatch(/result\\": ?false/);
	expect(answered).toBe(names.length * 5);
});

/** the message, the failure that Python sends */
const REFUSED = [
	['"method":"nothing"', "NoSuchMethod", "Endpoint does not support RPC method nothing"],
	['"method":"_private"', "NoSuchMethod", "Endpoint does not support RPC method _private"],
	[
		'"method":"echo","version":"1.1"',
		"UnsupportedVersion",
		"Endpoint does not support RPC version 1.1. Attempted method: echo",
	],
	[
		'"method":"echo","namespace":"x"',
		"UnsupportedVersion",
		"Endpoint does not support RPC version 1.0. Attempted method: echo",
	],
	[
		'"method":"echo","namespace":""',
		"UnsupportedVersion",
		"Endpoint does not support RPC version 1.0. Attempted method: echo",
	],
] as const;

row(34, "unknown method, private method, namespace, version", "Python's failure, field by field", async (measure) => {
	for (const [fields, name, message] of REFUSED) {
		const msgId = await call((ids) => `{${fields},"args":{},${ids}}`);
		const answer = await rig.caller.answer(msgId, 2_000);
		const module = "oslo_messaging.rpc.dispatcher";
		expect(JSON.parse(answer?.failure ?? "null")).toMatchObject({
			class: name,
			module,
			message,
			args: [message],
			kwargs: {},
		});
	}
	measure(`${REFUSED.length} of ${REFUSED.length}`);
});

row(
	35,
	`${FUZZED} mutations of recorded Nova messages`,
	"0 crashes, 0 classes that Nova does not know",
	async (measure) => {
		const before = rig.service.rss();
		let sent = 0;
		for (const { key, body, msgId } of bodies(FUZZED, SEED, rig.caller.replyQueue)) {
			rig.caller.asked.push({ id: msgId, sentAt: performance.now(), budget: 15_000 });
			await rig.caller.publish(body, { key, expiration: 120_000 });
			// As fast as it is answered, and not so fast that all wait in the queue.
			if (++sent % 500 === 0) await unharmed();
		}
		await unharmed();
		const growth = rig.service.rss() - before;
		measure(`seed ${SEED}: 0 crashes, ${growth.toFixed(0)} MB more`);
		expect(rig.service.log).not.toMatch(/unhandled|uncaught|novacompat: bug/i);
		expect(growth).toBeLessThan(100);
	},
);

row(36, "hostile _reply_q", "nothing published elsewhere", async (measure) => {
	const channel = await rig.caller.channel();
	const victims = ["compute.other", "reply evil", "notifications.info", `x${"y".repeat(250)}`];
	for (const victim of victims) await channel.assertQueue(victim, { durable: false });
	const odd = [
		...victims,
		"amq.rabbitmq.x",
		"",
		"r".repeat(300),
		"reply_\u0000",
		"reply_\n",
		`reply_${"z".repeat(300)}`,
		"migration_compat",
	];
	const others = [7, null, {}, [], true];
	for (const queue of [...odd, ...others]) {
		const message = {
			method: "check_live_migration",
			args: {},
			_msg_id: newId(),
			_reply_q: queue,
			_unique_id: newId(),
		};
		await rig.caller.publish(envelope(JSON.stringify(message)), { key: KEY });
	}
	await unharmed();
	const stolen = await Promise.all(victims.map(async (victim) => (await channel.checkQueue(victim)).messageCount));
	measure(`${odd.length + others.length} names, ${stolen.reduce((sum, count) => sum + count)} messages elsewhere`);
	expect(stolen.every((count) => count === 0)).toBe(true);
});

row(37, "_msg_id null (cast)", "no reply", async (measure) => {
	const before = rig.caller.texts.length;
	const { fields } = rig.world.question(0);
	for (const ids of [{}, { _msg_id: null, _reply_q: null }, { _msg_id: null, _reply_q: rig.caller.replyQueue }]) {
		await rig.caller.publish(envelope(JSON.stringify({ ...fields, ...ids, _unique_id: newId() })), { key: KEY });
	}
	await sleep(1_000);
	const replies = rig.caller.texts.length - before;
	await unharmed();
	measure(`${replies} replies to 3 casts`);
	expect(replies).toBe(0);
});

row(38, "odd _timeout, and an agent that takes 3 s", "<= 1 heartbeat a second, as Python counts", async (measure) => {
	const big = 99999999999999999999n;
	const values = [null, 0, -1, 0.5, 1, 2, 2.9, 3, "2", " 2 ", "+2", "60", "x", 1e9, 1e300, big, [big], true, [], {}];
	/** Python: every half of int(_timeout), none below a second; 60 and more are longer than the check. */
	const intervals = new Map<unknown, number>([2, 2.9, "2", " 2 ", "+2"].map((value) => [value, 1_000])).set(3, 1_500);
	const slow = rig.world.proxies[0];
	slow?.set({ latency: 1_500 });
	await sleep(SNAPSHOT_KEPT);
	const asked = await Promise.all(
		values.map(async (value) => {
			const question = rig.world.question(0);
			return rig.caller.ask({ ...question, fields: { ...question.fields, _timeout: value } });
		}),
	);
	for (const { msgId } of asked) await rig.caller.answer(msgId, 10_000);
	slow?.heal();
	const beats = asked.map(({ msgId }) => {
		const messages = rig.caller.answers.filter(({ id }) => id === msgId);
		const sentAt = rig.caller.asked.find(({ id }) => id === msgId)?.sentAt ?? 0;
		return { count: messages.length - 1, took: (messages.at(-1)?.at ?? 0) - sentAt };
	});
	const shown = values.map((value, index) => `${toJson(value)}: ${beats[index]?.count}`);
	measure(shown.join(" ").slice(0, 120));
	for (const [index, value] of values.entries()) {
		const { count = 0, took = 0 } = beats[index] ?? {};
		const expected = Math.floor(took / (intervals.get(value) ?? Number.POSITIVE_INFINITY));
		expect([Math.max(0, expected - 1), expected], `${toJson(value)} in ${took} ms`).toContain(count);
	}
});

row(39, "no expiration, and one that is very long", "answered within 15 s", async (measure) => {
	const slow = rig.world.proxies[0];
	slow?.set({ lost: ["to-client"] });
	await sleep(SNAPSHOT_KEPT);
	const times: number[] = [];
	for (const properties of [{}, { expiration: "4294967295" }]) {
		const { fields, expected } = rig.world.question(0);
		const msgId = newId();
		rig.caller.asked.push({ id: msgId, sentAt: performance.now(), budget: 15_000, ...(expected && { expected }) });
		const message = { ...fields, _msg_id: msgId, _reply_q: rig.caller.replyQueue, _timeout: null };
		const start = performance.now();
		await rig.caller.publish(envelope(JSON.stringify(message)), { key: KEY }, properties);
		await rig.caller.answer(msgId, 20_000);
		times.push(performance.now() - start);
	}
	slow?.heal();
	measure(`${times.map(seconds).join(", ")} (RabbitMQ itself refuses "abc", -1 and 10^12)`);
	expect(Math.max(...times)).toBeLessThan(15_000);
});

row(40, "compressed bodies, one of them a bomb", "read or refused, rss < +10 MB", async (measure) => {
	const { inner, msgId } = request("2.0");
	const compressed = deflateSync(envelope(inner));
	await rig.caller.publish(compressed, { key: "echo" }, { headers: { compression: "application/x-gzip" } });
	const read = (await reply(msgId)) !== undefined;
	const bomb = deflateSync(Buffer.alloc(1_000 * MEGABYTE), { level: 9 });
	const growth = await leastOf(TRIES, 10, async () => {
		const before = rig.service.rss();
		for (const compression of ["application/x-gzip", "application/x-bz2", "application/x-brotli", "gzip", "x"]) {
			await rig.caller.publish(bomb, { key: KEY }, { headers: { compression } });
		}
		await unharmed();
		return rig.service.rss() - before;
	});
	measure(
		`zlib ${read ? "read" : "refused"}, bomb of ${(bomb.length / MEGABYTE).toFixed(1)} MB: ${growth.toFixed(0)} MB more`,
	);
	expect(growth).toBeLessThan(10);
});

row(41, "newlines, terminal sequences and direction marks in names", "0 raw control bytes", async (measure) => {
	const evil = [
		"a\nb",
		"\u001b[31mred\u001b[0m",
		"\u202Egnp.exe",
		"\u0000",
		"\u009b31m",
		"\u2028",
		"\r\n2026-01-01 ERROR forged",
	];
	for (const name of evil) {
		for (const field of ["instance_uuid", "source_host", "dest_host"]) {
			const given = { instance_uuid: "x", source_host: "cmp-01", dest_host: "cmp-02", [field]: name };
			const fields = { method: "check_live_migration", args: { request: given }, _context_request_id: name };
			await rig.caller.ask({ fields, key: KEY });
		}
		await rig.caller.ask({ fields: { method: name, args: {} }, key: KEY });
		await rig.caller.publish(envelope(`{"${name}`), { key: KEY });
		await rig.caller.publish(envelope("{}", name), { key: KEY });
		await rig.caller.ask({
			fields: { method: "check_live_migration", args: {} },
			key: KEY,
			replyQueue: `reply_${name}`,
		});
	}
	await rig.caller.settle(5_000);
	await unharmed();
	const raw = rig.service.log.replaceAll("\n", "").match(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu) ?? [];
	measure(`${raw.length} raw`);
	expect(raw).toEqual([]);
	expect(rig.service.log).not.toMatch(/^2026-01-01 ERROR forged/m);
});
