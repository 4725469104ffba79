import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { RpcClient } from "../../src/messaging/client.ts";
import type { Call, Method } from "../../src/messaging/endpoint.ts";
import { RemoteError, valueError } from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { newId, openEnvelope } from "../../src/messaging/message.ts";
import { callBudget, heartbeatInterval, RpcServer } from "../../src/messaging/server.ts";
import type { ServerTarget } from "../../src/messaging/target.ts";
import type { Consumer, Delivery } from "../../src/messaging/transport.ts";
import { gate } from "../support/gate.ts";
import { recordingLog } from "../support/log.ts";
import { Inbox } from "./inbox.ts";

const TARGET: ServerTarget = { exchange: "nova", topic: "compute", server: "host-a" };
const TO_TOPIC = { kind: "topic", exchange: "nova", key: "compute" } as const;
const REQUEST_ID = "request_id";

type Handler = Method<string>["handler"];
type Fields = Readonly<Record<string, unknown>>;

/** A transport in memory on which a test can make deliveries that only a broken connection causes. */
class ScriptedTransport extends MemoryTransport {
	deliver: (delivery: Delivery) => void = () => undefined;
	/** Queues to which replies were sent. */
	readonly repliedTo: string[] = [];

	override async listen(target: ServerTarget, prefetch: number, to: (delivery: Delivery) => void): Promise<Consumer> {
		this.deliver = to;
		return super.listen(target, prefetch, to);
	}

	override async publish(...[to, body, options]: Parameters<MemoryTransport["publish"]>) {
		if (to.kind === "reply") this.repliedTo.push(to.queue);
		return super.publish(to, body, options);
	}
}

interface Limits {
	readonly maxInFlight: number;
	readonly maxCallTime: number;
}

/** The real server, with `handler` as its method `m`, and callers: the real client, or raw requests and their replies. */
async function serve(handler: Handler, limits: Partial<Limits> = {}) {
	const transport = new ScriptedTransport();
	const { log, lines } = recordingLog();
	const server = new RpcServer<string>({
		transport,
		targets: [TARGET],
		endpoints: [
			{ namespace: null, version: "6.0", methods: new Map([["m", { required: [], optional: ["x"], handler }]]) },
		],
		deserializeContext: (raw) => {
			const id = raw.get(REQUEST_ID) ?? "none";
			if (typeof id !== "string") throw new TypeError("s3cr3t context");
			return id;
		},
		log,
		maxInFlight: 64,
		maxCallTime: 15,
		...limits,
	});
	await server.start();
	const client = new RpcClient(transport);
	const call = (args: Fields = {}, timeout = 10) => client.call({ ...TARGET, version: "6.0" }, "m", args, { timeout });
	const send = (body: string, expiration?: number) =>
		transport.publish(TO_TOPIC, Buffer.from(body), { timeout: 1_000, ...(expiration !== undefined && { expiration }) });

	const queue = `reply_${newId()}`;
	const inbox = new Inbox();
	await transport.listenForReplies(queue, inbox.ack);
	/** A raw call of `m` that is replied to in `replies`. */
	const request = (fields: Fields = {}): string =>
		JSON.stringify({ method: "m", version: "6.0", _msg_id: "id", _reply_q: queue, _timeout: null, ...fields });
	const replies = () => inbox.deliveries.map(({ body, contentType }) => openEnvelope(body, contentType));
	const reply = async (index: number) => {
		await inbox.at(index);
		return replies()[index] ?? {};
	};
	return { transport, server, lines, client, call, send, request, replies, reply, queue };
}

/** A delivery as a test wants it, with the record of how it was ended. */
function scripted(body: string, delivery: Partial<Delivery> = {}) {
	const ended: string[] = [];
	const scriptedDelivery: Delivery = {
		body: Buffer.from(body),
		contentType: "application/json",
		compression: undefined,
		expiration: undefined,
		redelivered: false,
		ack: () => void ended.push("ack"),
		reject: () => void ended.push("reject"),
		...delivery,
	};
	return { delivery: scriptedDelivery, ended };
}

describe("a call", () => {
	test.each([["text"], [0], [false], [""], [null], [[1, { a: null }]], [{}]])("gets the result %j", async (result) => {
		const { call } = await serve(async () => result);
		expect(await call()).toEqual(result);
	});

	test("P2: no result is null", async () => {
		const { call } = await serve(async () => undefined);
		expect(await call()).toBeNull();
	});

	test("hands over its arguments, its context and the target on which it arrived", async () => {
		const { client } = await serve(async (args, { context, target }: Call<string>) => ({ args, context, target }));
		const target = { ...TARGET, version: "6.0" };
		const options = { timeout: 10, context: { request_id: "req-1", auth_token: "t0k3n" } };
		expect(await client.call(target, "m", { x: 1 }, options)).toEqual({
			args: { x: 1 },
			context: "req-1",
			target: TARGET,
		});
	});

	test("gets the failure that the method means", async () => {
		const { call, lines } = await serve(async () => {
			throw valueError("no such thing");
		});
		const error = new RemoteError("ValueError", "builtins", "no such thing", { args: ["no such thing"] });
		await expect(call()).rejects.toThrow(error);
		expect(lines.join("")).not.toContain(" ERROR ");
	});

	/** what the method throws by mistake */
	const MISTAKES: readonly (readonly [what: string, handler: Handler])[] = [
		["an error", async () => Promise.reject(new Error("s3cr3t at /etc/passwd"))],
		["no error", () => Promise.reject("s3cr3t")],
		[
			"before it is a promise",
			() => {
				throw new TypeError("s3cr3t");
			},
		],
		["a result that is not JSON", async () => ({ s3cr3t: 1n })],
	];
	test.each(MISTAKES)(
		"gets a failure that says nothing when the method throws %s; the log has it",
		async (_what, handler) => {
			const { call, lines } = await serve(handler);
			const failure = await call().catch(String);
			expect(failure).toBe("RemoteError: novacompat.InternalError: internal error, see the log");
			expect(lines.join("")).toMatch(/ ERROR .*m failed: /);
		},
	);

	test("gets a failure when its context cannot be read, and the next call works", async () => {
		const { client, call, send, request, reply } = await serve(async () => "ok", { maxInFlight: 1 });
		const options = { timeout: 10, context: { [REQUEST_ID]: 1 } };
		const failure = await client.call({ ...TARGET, version: "6.0" }, "m", {}, options).catch(String);
		expect(failure).toContain("InternalError");
		expect(failure).not.toContain("s3cr3t");
		expect(await call()).toBe("ok");
		await send(request({ _context_request_id: "req-2" }));
		expect(await reply(0)).toMatchObject({ result: "ok" });
	});

	/** request, class of the failure (row 34) */
	const UNKNOWN: readonly (readonly [Fields, string])[] = [
		[{ method: "nothing" }, "NoSuchMethod"],
		[{ method: "constructor" }, "NoSuchMethod"],
		[{ method: null }, "NoSuchMethod"],
		[{ method: { auth_token: "t0k3n" } }, "NoSuchMethod"],
		[{ version: "6.1" }, "UnsupportedVersion"],
		[{ version: null }, "UnsupportedVersion"],
		[{ namespace: "" }, "UnsupportedVersion"],
		[{ args: { zz: 1 } }, "TypeError"],
		[{ args: { ["__proto__"]: 1 } }, "TypeError"],
	];
	test.each(UNKNOWN)("%j gets %s, after no heartbeat", async (fields, excClass) => {
		const { send, request, reply } = await serve(async () => "ok");
		await send(request({ _timeout: 60, ...fields }));
		const { failure, ...rest } = await reply(0);
		expect(rest).toMatchObject({ result: null, ending: true, _msg_id: "id" });
		expect(JSON.parse(String(failure))).toMatchObject({ class: excClass, tb: [], kwargs: {} });
	});

	test("P4: a health probe with four fields is answered with the text that it looks for", async () => {
		const { send, reply, queue } = await serve(async () => "ok");
		await send(
			JSON.stringify({
				method: "pod_health_probe_method_ignore_errors",
				_msg_id: "1",
				_reply_q: queue,
				_timeout: null,
			}),
		);
		expect(String((await reply(0))["failure"])).toContain("Endpoint does not support RPC version 1.0");
	});

	test("P29: a slow method does not hold up others", async () => {
		const slow = gate();
		const { call } = await serve(async ({ x }) => (x === "slow" ? slow.opened : x));
		const first = call({ x: "slow" });
		const others = Array.from({ length: 10 }, (_, index) => index);
		expect(await Promise.all(others.map((x) => call({ x })))).toEqual(others);
		slow.open("at last");
		expect(await first).toBe("at last");
	});

	test("row 22: no more than maxInFlight of a queue are worked on at once, and all are answered", async () => {
		const [started, go] = [gate(), gate()];
		let [running, most] = [0, 0];
		const { call } = await serve(
			async ({ x }) => {
				most = Math.max(most, ++running);
				if (running === 3) started.open();
				await go.opened;
				running--;
				return x;
			},
			{ maxInFlight: 3 },
		);
		const calls = Array.from({ length: 20 }, (_, x) => call({ x }));
		await started.opened;
		go.open();
		expect(await Promise.all(calls)).toHaveLength(20);
		expect(most).toBe(3);
	});
});

describe("a cast", () => {
	test("row 37: runs, and has no reply, also when it fails", async () => {
		const seen: unknown[] = [];
		const { client, call, replies } = await serve(async ({ x }) => {
			seen.push(x);
			if (x === "bad") throw new Error("no");
		});
		const target = { ...TARGET, version: "6.0" };
		for (const x of ["good", "bad"]) expect(await client.cast(target, "m", { x })).toBe("routed");
		expect(await client.cast({ ...target, fanout: true }, "m", { x: "fanout" })).toBe("routed");
		await call();
		expect(seen).toEqual(["good", "bad", "fanout", undefined]);
		expect(replies()).toEqual([]);
	});
});

describe("a message that comes again", () => {
	test("P11, row 18: the same id twice is one execution and one reply", async () => {
		let executions = 0;
		const { send, request, reply, replies, lines } = await serve(async () => ++executions);
		await send(request({ _unique_id: "u1" }));
		await send(request({ _unique_id: "u1" }));
		expect(await reply(0)).toMatchObject({ result: 1 });
		await send(request({ _unique_id: "u1" }));
		await send(request({ _unique_id: "u2" }));
		expect(await reply(1)).toMatchObject({ result: 2 });
		expect(replies()).toHaveLength(2);
		expect(lines.filter((line) => line.includes("ignoring duplicate message u1"))).toHaveLength(2);
	});

	test("P4: without an id nothing is a duplicate", async () => {
		let executions = 0;
		const { send, request, reply } = await serve(async () => ++executions);
		await send(request());
		await send(request());
		await reply(1);
		expect(executions).toBe(2);
	});

	test("a first delivery is acknowledged after its reply, a redelivered one before its method", async () => {
		const seen: (readonly string[])[] = [];
		const first = scripted('{"method":"m","version":"6.0","_unique_id":"u1"}');
		const again = scripted('{"method":"m","version":"6.0","_unique_id":"u2"}', { redelivered: true });
		const { transport, server } = await serve(async () => void seen.push([...first.ended, ...again.ended]));
		transport.deliver(first.delivery);
		await server.stop();
		transport.deliver(again.delivery);
		await server.stop();
		expect(seen).toEqual([[], ["ack", "ack"]]);
		expect([first.ended, again.ended]).toEqual([["ack"], ["ack"]]);
	});

	test("P9: redelivered after its reply: the same reply again, no second execution", async () => {
		let executions = 0;
		const { transport, request, reply, replies, server } = await serve(async () => ++executions);
		const body = request({ _unique_id: "u1" });
		transport.deliver(scripted(body).delivery);
		const sent = await reply(0);
		const again = scripted(body, { redelivered: true });
		transport.deliver(again.delivery);
		expect(await reply(1)).toEqual(sent);
		await server.stop();
		expect(again.ended).toEqual(["ack"]);
		expect([executions, replies().length]).toEqual([1, 2]);
	});

	test("redelivered while it is being worked on: one execution, one reply", async () => {
		const slow = gate();
		const { transport, request, replies, server } = await serve(() => slow.opened);
		const [first, again] = [
			scripted(request({ _unique_id: "u1" })),
			scripted(request({ _unique_id: "u1" }), { redelivered: true }),
		];
		transport.deliver(first.delivery);
		transport.deliver(again.delivery);
		slow.open("once");
		await server.stop();
		await expect.poll(replies).toMatchObject([{ result: "once" }]);
		expect([first.ended, again.ended]).toEqual([["ack"], ["ack"]]);
	});
});

describe("a message that is no request", () => {
	const BODIES: readonly (readonly [what: string, delivery: Partial<Delivery>])[] = [
		["garbage", { body: Buffer.from([0, 1, 2, 255]) }],
		["nothing", { body: Buffer.alloc(0) }],
		["another version", { body: Buffer.from('{"oslo.version":"3.0","oslo.message":"{}"}') }],
		["another content type", { contentType: "text/plain" }],
	];
	test.each(BODIES)(
		"P10, row 25: %s is rejected once, also when it comes again; the next is answered",
		async (_what, delivery) => {
			const { transport, call, server, lines } = await serve(async () => "ok");
			const rejected = [scripted("{}", delivery), scripted("{}", { ...delivery, redelivered: true })];
			for (const one of rejected) transport.deliver(one.delivery);
			expect(await call()).toBe("ok");
			await server.stop();
			expect(rejected.map(({ ended }) => ended)).toEqual([["reject"], ["reject"]]);
			expect(lines.filter((line) => line.includes("dropping a message on compute.host-a"))).toHaveLength(2);
		},
	);

	test("row 22: rejected ones hold no slot", async () => {
		const { call, send } = await serve(async () => "ok", { maxInFlight: 1 });
		for (let count = 0; count < 5; count++) await send("garbage");
		expect(await call()).toBe("ok");
	});
});

describe("the time of a call", () => {
	/** expiration of the message, maxCallTime in ms, budget in ms (row 39) */
	const BUDGETS: readonly (readonly [expiration: string | undefined, maxCallTime: number, budget: number])[] = [
		["60000", 15_000, 15_000],
		["20000", 15_000, 10_000],
		["1800000", 15_000, 15_000],
		["1", 15_000, 0.5],
		[undefined, 15_000, 15_000],
		["", 15_000, 15_000],
		["0", 15_000, 15_000],
		["-1", 15_000, 15_000],
		["abc", 15_000, 15_000],
		["1e3", 15_000, 15_000],
		["500.5", 15_000, 15_000],
		["1000000000000", 15_000, 15_000],
	];
	test.each(BUDGETS)("row 39: expiration %j, at most %d ms: %d ms", (expiration, maxCallTime, budget) => {
		expect(callBudget(expiration, maxCallTime)).toBe(budget);
	});

	test("row 20: the signal of the method is aborted within half of the caller's time, before the caller gives up", async () => {
		const { call } = await serve(
			(_args, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("in time"))),
		);
		const start = performance.now();
		expect(await call({}, 2)).toBe("in time");
		expect(performance.now() - start).toBeLessThan(2_000);
	});

	test("maxCallTime holds for callers who wait longer", async () => {
		const { call } = await serve(
			(_args, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("in time"))),
			{ maxCallTime: 0.2 },
		);
		const start = performance.now();
		expect(await call({}, 60)).toBe("in time");
		expect(performance.now() - start).toBeLessThan(2_000);
	});
});

describe.concurrent("heartbeats", () => {
	/** `_timeout` of the request, milliseconds between heartbeats (row 38: as oslo's int() and half of it) */
	const INTERVALS: readonly (readonly [timeout: unknown, interval: number | undefined])[] = [
		[60, 30_000],
		[4, 2_000],
		[2, 1_000],
		[2.9, 1_000],
		[3, 1_500],
		["60", 30_000],
		["2", 1_000],
		[1e9, 5e11],
		[1, undefined],
		[0, undefined],
		[0.5, undefined],
		[-1, undefined],
		[-60, undefined],
		["1", undefined],
		["x", undefined],
		["2.9", undefined],
		["", undefined],
		[null, undefined],
		[undefined, undefined],
		[true, undefined],
		[[60], undefined],
		[{}, undefined],
		[Number.NaN, undefined],
	];
	test.each(INTERVALS)("P3, row 38: _timeout %j: every %j ms", (timeout, interval) => {
		expect(heartbeatInterval(timeout)).toBe(interval);
	});

	test("P28: come while the method runs, none after the reply", async ({ expect }) => {
		const slow = gate();
		const { send, request, reply, replies } = await serve(() => slow.opened);
		await send(request({ _timeout: 2 }), 60_000);
		for (const index of [0, 1]) {
			expect(await reply(index)).toMatchObject({ result: null, failure: null, ending: false, _msg_id: "id" });
		}
		slow.open("done");
		expect(await reply(2)).toMatchObject({ result: "done", ending: true });
		// More than two intervals in which a forgotten timer would send.
		await sleep(2_500);
		expect(replies()).toHaveLength(3);
		const ids = replies().map((fields) => fields["_unique_id"]);
		expect(new Set(ids).size).toBe(3);
	});

	test.each([{ _timeout: null }, {}, { _timeout: 1 }, { _timeout: 2, _msg_id: null }])(
		"P3: none with %j, however long it takes",
		async (fields) => {
			const { send, request, replies, server } = await serve(() => sleep(1_500, "done"));
			await send(request(fields), 60_000);
			await expect.poll(replies, { timeout: 5_000 }).toHaveLength("_msg_id" in fields ? 0 : 1);
			await server.stop();
			expect(replies().filter((fields) => fields["ending"] !== true)).toEqual([]);
		},
	);

	test("stop when the budget is spent, although the method still runs", async ({ expect }) => {
		const { send, request, reply, replies } = await serve(() => sleep(3_200, "late"));
		// Half of it: 2.5 s, so one at 1 s and one at 2 s.
		await send(request({ _timeout: 2 }), 5_000);
		expect(await reply(2)).toMatchObject({ result: "late" });
		expect(replies()).toHaveLength(3);
	});

	test("keep a real client with a call monitor waiting", async ({ expect }) => {
		const { client } = await serve(() => sleep(3_500, "worth it"));
		const options = { timeout: 30, callMonitorTimeout: 2 };
		expect(await client.call({ ...TARGET, version: "6.0" }, "m", {}, options)).toBe("worth it");
	});

	test("end when the reply queue is gone; the reply is still tried", async ({ expect }) => {
		const { send, request, lines, server } = await serve(() => sleep(1_200, "done"));
		await send(request({ _timeout: 2, _reply_q: "reply_gone" }), 60_000);
		await expect.poll(() => lines.join(""), { timeout: 10_000 }).toContain("reply_gone does not exist");
		await server.stop();
	});
});

describe("where a reply goes", () => {
	const HOSTILE: readonly string[] = [
		"",
		"reply_",
		"compute",
		"compute.host-a",
		"amq.rabbitmq.reply-to",
		"Reply_1",
		"xreply_1",
		"reply_1 ",
		"reply_1\n",
		"reply_a/b",
		"reply_é",
		`reply_${"a".repeat(201)}`,
	];
	test.each(HOSTILE)(
		"P36, row 36: %j is no reply queue: nothing is published there, the server goes on",
		async (queue) => {
			const { transport, send, request, lines, call } = await serve(async () => "ok", { maxInFlight: 1 });
			await send(request({ _reply_q: queue, _timeout: 2 }));
			expect(await call()).toBe("ok");
			expect(transport.repliedTo).toEqual([expect.stringMatching(/^reply_[0-9a-f]{32}$/)]);
			expect(lines.filter((line) => line.includes("which is no reply queue"))).toHaveLength(1);
		},
	);

	test.each([
		`reply_${newId()}`,
		"reply_ctrl-01:nova-conductor:2",
		"reply_host.example:p_1:1",
		`reply_${"a".repeat(200)}`,
	])("P36: %s is one", async (queue) => {
		const { transport, send, request } = await serve(async () => "ok");
		const inbox = new Inbox();
		await transport.listenForReplies(queue, inbox.ack);
		await send(request({ _reply_q: queue }));
		expect((await inbox.at(0)).body.toString()).toContain("ok");
	});

	test("P13, row 11: a missing queue is retried for two seconds, then remembered, also when it is back", async () => {
		const { transport, send, request, lines, server, call } = await serve(async () => "ok");
		const queue = `reply_${newId()}`;
		await send(request({ _reply_q: queue, _unique_id: "u1" }));
		expect(await call()).toBe("ok");
		await server.stop();
		expect(lines.filter((line) => line.includes(`the queue ${queue} does not exist`))).toHaveLength(1);

		const inbox = new Inbox();
		await transport.listenForReplies(queue, inbox.ack);
		const next = scripted(request({ _reply_q: queue, _unique_id: "u2" }));
		transport.deliver(next.delivery);
		await server.stop();
		expect(next.ended).toEqual(["ack"]);
		expect(inbox.texts).toEqual([]);
		expect(lines.filter((line) => line.includes("was missing a moment ago"))).toHaveLength(1);
	});

	test("P13: a queue that comes back in time gets its reply", async () => {
		const { transport, send, request, server, lines } = await serve(async () => "late");
		const queue = `reply_${newId()}`;
		await send(request({ _reply_q: queue }));
		await sleep(600);
		const inbox = new Inbox();
		await transport.listenForReplies(queue, inbox.ack);
		expect((await inbox.at(0)).body.toString()).toContain("late");
		await server.stop();
		expect(lines.join("")).not.toContain("dropping");
	});
});

describe("stop", () => {
	test("P30: finishes what is in flight and what was handed out in the same moment, and takes nothing new", async () => {
		const [started, slow] = [gate(), gate()];
		const taken: unknown[] = [];
		const { send, request, replies, server } = await serve(async ({ x }) => {
			taken.push(x);
			started.open();
			await slow.opened;
			return x;
		});
		await send(request({ args: { x: "running" } }));
		await started.opened;
		const published = send(request({ args: { x: "handed out" } }));
		const stopped = server.stop();
		await published;
		expect(await send(request({ args: { x: "too late" } }))).toBe("routed");
		slow.open();
		await stopped;
		expect(taken).toEqual(["running", "handed out"]);
		await expect.poll(replies).toMatchObject([{ result: "running" }, { result: "handed out" }]);
	});

	test("twice is once", async () => {
		const { server } = await serve(async () => "ok");
		await server.stop();
		await server.stop();
	});
});
