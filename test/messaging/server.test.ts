import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { RpcClient } from "../../src/messaging/client.ts";
import type { Call } from "../../src/messaging/endpoint.ts";
import { RemoteError, valueError } from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { MAX_BODY_BYTES, newId, resultReply } from "../../src/messaging/message.ts";
import type { Delivery } from "../../src/messaging/transport.ts";
import { gate } from "../support/gate.ts";
import { type Fields, type Handler, REQUEST_ID, scripted, serve, TARGET } from "./serving.ts";

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

	test("SEC-05: gets no result in a reply of more than 4 MiB, but what is wrong, and the next call works", async () => {
		const { call, server } = await serve(async ({ x }) => "x".repeat(Number(x)));
		const most = MAX_BODY_BYTES - resultReply(newId(), "").length;
		expect(await call({ x: most })).toHaveLength(most);
		await expect(call({ x: most + 1 })).rejects.toThrow(
			"builtins.ValueError: the reply would have 4194305 bytes, expected at most 4194304: ask for less",
		);
		expect(await call({ x: 1 })).toBe("x");
		expect(server.requests).toMatchObject({ ok: 2, invalid: 1 });
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
		[
			"a result that is not JSON",
			async () => {
				const endless: Record<string, unknown> = { s3cr3t: 1 };
				endless["self"] = endless;
				return endless;
			},
		],
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

	test("row 22: no more than maxInFlight are worked on at once, those of all queues together, and all are answered", async () => {
		const [started, go] = [gate(), gate()];
		let [running, most] = [0, 0];
		const other = { ...TARGET, topic: "migration_compat" };
		const { call, client } = await serve(
			async ({ x }) => {
				most = Math.max(most, ++running);
				if (running === 3) started.open();
				await go.opened;
				running--;
				return x;
			},
			{ maxInFlight: 3, targets: [TARGET, other] },
		);
		const to = [{ ...TARGET, server: undefined }, TARGET, { ...other, server: undefined }, other];
		const calls = to.flatMap(({ exchange, topic, server }) => {
			const target = { exchange, topic, version: "6.0", ...(server !== undefined && { server }) };
			return Array.from({ length: 5 }, (_, x) => client.call(target, "m", { x }, { timeout: 10 }));
		});
		await started.opened;
		// In this time all of them arrive: only the slots hold them back.
		expect(await call({ x: "late" }, 0.5).catch(String)).toContain("not finished in time");
		expect(most).toBe(3);
		go.open();
		expect(await Promise.all(calls)).toHaveLength(20);
		expect(most).toBe(3);
	});

	test("P29: who waits for a slot is served in the order of arrival", async () => {
		const seen: unknown[] = [];
		const slow = gate();
		const { call } = await serve(
			async ({ x }) => {
				seen.push(x);
				if (x === 0) await slow.opened;
			},
			{ maxInFlight: 1 },
		);
		const calls = [0, 1, 2, 3].map((x) => call({ x }));
		slow.open();
		await Promise.all(calls);
		expect(seen).toEqual([0, 1, 2, 3]);
	});

	test("of a probe is answered when the server has ping, also when it sends arguments", async () => {
		const ask = async (ping?: boolean) => {
			const { client } = await serve(async () => "ok", ping === undefined ? {} : { ping });
			return client.call(TARGET, "oslo_rpc_server_ping", { anything: 1 }, { timeout: 10 }).catch(String);
		};
		expect(await ask(true)).toBe("pong");
		for (const ping of [false, undefined]) expect(await ask(ping)).toContain("UnsupportedVersion");
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
		const { send, request, reply, replies, server, lines } = await serve(async () => ++executions);
		await send(request({ _unique_id: "u1" }));
		await send(request({ _unique_id: "u1" }));
		expect(await reply(0)).toMatchObject({ result: 1 });
		await send(request({ _unique_id: "u1" }));
		await send(request({ _unique_id: "u2" }));
		expect(await reply(1)).toMatchObject({ result: 2 });
		expect(replies()).toHaveLength(2);
		expect(server.requests.duplicate).toBe(2);
		expect(lines.filter((line) => line.includes("ignoring duplicate message u1"))).toHaveLength(1);
	});

	test("row 25: a flood of them is one line, and each is counted", async () => {
		const { call, send, request, server, lines } = await serve(async () => "ok");
		for (let count = 0; count <= 200; count++) await send(request({ _unique_id: "u1" }));
		expect(await call()).toBe("ok");
		expect(server.requests.duplicate).toBe(200);
		expect(lines).toEqual([expect.stringContaining("ignoring duplicate message u1 on compute.host-a")]);
	});

	test("P4: without an id nothing is a duplicate", async () => {
		let executions = 0;
		const { send, request, reply } = await serve(async () => ++executions);
		await send(request());
		await send(request());
		await reply(1);
		expect(executions).toBe(2);
	});

	/** option, redelivered, how the delivery was ended when the method ran */
	const ACKNOWLEDGED: readonly (readonly [ack: "after" | "before" | undefined, redelivered: boolean, string[]])[] = [
		[undefined, false, []],
		["after", false, []],
		["after", true, ["ack"]],
		["before", false, ["ack"]],
		["before", true, ["ack"]],
	];
	test.each(ACKNOWLEDGED)(
		"P9: ack %j, redelivered %j: acknowledged once, %j when its method runs",
		async (ack, redelivered, expected) => {
			let seen: readonly string[] | undefined;
			const one = scripted('{"method":"m","version":"6.0","_unique_id":"u1"}', { redelivered });
			const { transport } = await serve(
				async () => {
					seen = [...one.ended];
				},
				ack ? { ack } : {},
			);
			transport.deliver(one.delivery);
			await expect.poll(() => [seen, one.ended]).toEqual([expected, ["ack"]]);
		},
	);

	test("P33: with ack before, what waits for a slot is not acknowledged", async () => {
		const slow = gate();
		const { transport, request } = await serve(() => slow.opened, { ack: "before", maxInFlight: 1 });
		const [first, second] = [scripted(request()), scripted(request())];
		transport.deliver(first.delivery);
		transport.deliver(second.delivery);
		await expect.poll(() => first.ended).toEqual(["ack"]);
		expect(second.ended).toEqual([]);
		slow.open();
		await expect.poll(() => second.ended).toEqual(["ack"]);
	});

	test.each([{ ack: "before", redelivered: false } as const, { ack: "after", redelivered: true } as const])(
		"P9: %j: what cannot be acknowledged first is not done, because it comes again; then it is done",
		async ({ ack, redelivered }) => {
			let executions = 0;
			const { transport, request, reply, replies } = await serve(async () => ++executions, { ack, maxInFlight: 1 });
			const body = request({ _unique_id: "u1" });
			transport.deliver(scripted(body, { redelivered, ack: () => false }).delivery);
			transport.deliver(scripted(body, { redelivered: true }).delivery);
			expect(await reply(0)).toMatchObject({ result: 1 });
			expect([executions, replies().length]).toEqual([1, 1]);
		},
	);

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
			expect(lines.filter((line) => line.includes("dropping a message on compute.host-a"))).toHaveLength(1);
		},
	);

	test("row 25: a flood of them is one line, and each is counted", async () => {
		const { call, send, server, lines } = await serve(async () => "ok");
		for (let count = 0; count < 200; count++) await send("garbage");
		expect(await call()).toBe("ok");
		expect(server.requests.invalid).toBe(200);
		expect(lines).toEqual([expect.stringContaining("that is no request: the body is not JSON")]);
	});

	test("row 22: rejected ones hold no slot", async () => {
		const { call, send } = await serve(async () => "ok", { maxInFlight: 1 });
		for (let count = 0; count < 5; count++) await send("garbage");
		expect(await call()).toBe("ok");
	});
});

describe("a mistake of ours", () => {
	/** Its replies fail as no transport's may. */
	class Broken extends MemoryTransport {
		deliver: (delivery: Delivery) => void = () => undefined;

		override listen(...[target, prefetch, onDelivery]: Parameters<MemoryTransport["listen"]>) {
			this.deliver = onDelivery;
			return super.listen(target, prefetch, onDelivery);
		}

		override async publish(): Promise<never> {
			throw new TypeError("a bug");
		}
	}

	/** option, how the delivery was ended */
	const ENDED = [
		["after", ["reject"]],
		["before", ["ack"]],
	] as const;
	test("ends the message once all the same, or it would hold its place of the prefetch for ever", async () => {
		for (const [ack, expected] of ENDED) {
			const transport = new Broken();
			const { server, request, lines } = await serve(async () => "ok", { transport, ack });
			const one = scripted(request());
			transport.deliver(one.delivery);
			await server.stop();
			expect(one.ended).toEqual(expected);
			expect(lines).toEqual([expect.stringContaining("request on compute.host-a lost: TypeError: a bug")]);
		}
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

	test("P30: what waits for a slot goes back, unacknowledged, and another server does it", async () => {
		const slow = gate();
		const { transport, server, request } = await serve(() => slow.opened, { maxInFlight: 1 });
		const [running, waiting] = [scripted(request()), scripted(request())];
		transport.deliver(running.delivery);
		transport.deliver(waiting.delivery);
		const stopped = server.stop();
		await expect.poll(() => waiting.ended).toEqual(["requeue"]);
		expect(running.ended).toEqual([]);
		slow.open("done");
		await stopped;
		expect([running.ended, waiting.ended]).toEqual([["ack"], ["requeue"]]);
	});

	test("P30: nothing is begun any more, not even what arrives late", async () => {
		let executions = 0;
		const { transport, server, request } = await serve(async () => ++executions);
		await server.stop();
		const late = scripted(request());
		transport.deliver(late.delivery);
		await expect.poll(() => late.ended).toEqual(["requeue"]);
		expect(executions).toBe(0);
	});

	test("P30, row 70: casts and calls while one of two servers stops: each is done once, none is lost", async () => {
		const transport = new MemoryTransport();
		const done: unknown[] = [];
		const handler: Handler = async ({ x }) => {
			await sleep(5);
			done.push(x);
			return x;
		};
		const leaving = await serve(handler, { transport, maxInFlight: 2 });
		await serve(handler, { transport, maxInFlight: 2, targets: [{ ...TARGET, server: "host-b" }] });
		const { server: _name, ...topic } = { ...TARGET, version: "6.0" };
		const client = new RpcClient(transport);
		const calls: Promise<unknown>[] = [];
		let stopped: Promise<void> | undefined;
		for (let x = 0; x < 200; x += 2) {
			calls.push(client.call(topic, "m", { x }, { timeout: 20 }));
			await client.cast(topic, "m", { x: x + 1 });
			if (x === 60) stopped = leaving.server.stop();
			if (x % 20 === 0) await sleep(5);
		}
		await stopped;
		expect(await Promise.all(calls)).toEqual(Array.from({ length: 100 }, (_, index) => 2 * index));
		await expect.poll(() => done.length).toBe(200);
		expect(new Set(done).size).toBe(200);
	});

	test("twice is once", async () => {
		const { server } = await serve(async () => "ok");
		await server.stop();
		await server.stop();
	});
});
