import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RpcClient, type RpcClientOptions } from "../../src/messaging/client.ts";
import {
	InvalidTarget,
	MessageDeliveryFailure,
	MessageUndeliverable,
	MessagingTimeout,
	RemoteError,
	RPCVersionCapError,
	RpcFailure,
} from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { failureReply, heartbeat, openEnvelope, resultReply, sealEnvelope } from "../../src/messaging/message.ts";
import type { ClientTarget, ServerTarget } from "../../src/messaging/target.ts";
import type { Consumer, Delivery } from "../../src/messaging/transport.ts";
import { Inbox } from "./inbox.ts";

const SERVER: ServerTarget = { exchange: "nova", topic: "compute", server: "host-a" };
const TARGET: ClientTarget = { ...SERVER, namespace: "baseapi", version: "1.1" };
const OPTIONS = { timeout: 10 };

/** A client, and the requests that reach its server, which answers by hand. */
async function setUp(options: RpcClientOptions = {}, transport = new MemoryTransport()) {
	const inbox = new Inbox();
	await transport.listen(SERVER, 64, inbox.ack);
	const client = new RpcClient(transport, options);
	const request = async (index = 0) => {
		const delivery = await inbox.at(index);
		const { expiration } = delivery;
		const fields = openEnvelope(delivery);
		const msgId = String(fields["_msg_id"]);
		const answer = (reply: Buffer) =>
			transport.publish({ kind: "reply", queue: String(fields["_reply_q"]) }, reply, { timeout: 1_000 });
		return { fields, msgId, answer, expiration };
	};
	return { transport, inbox, client, request };
}

describe("a call", () => {
	test("that the broker does not confirm is none that nobody has answered", async () => {
		class Blocked extends MemoryTransport {
			override publish(...[, , { onSent }]: Parameters<MemoryTransport["publish"]>): Promise<"routed"> {
				onSent?.();
				return new Promise(() => undefined);
			}
		}
		const { client } = await setUp({}, new Blocked());
		const text =
			"ping of nova/compute.host-a: the broker has not confirmed in 0.05 s that it has the request; the method may still run";
		await expect(client.call(TARGET, "ping", {}, { timeout: 0.05 })).rejects.toEqual(
			new MessagingTimeout(text, { sent: true, routed: false }),
		);
	});

	test("that waits for its exchange in vain was not sent", async () => {
		class Hung extends MemoryTransport {
			override publish(): Promise<"routed"> {
				return new Promise(() => undefined);
			}
		}
		const { client } = await setUp({}, new Hung());
		await expect(client.call(TARGET, "ping", {}, { timeout: 0.05 })).rejects.toEqual(
			new MessagingTimeout("ping of nova/compute.host-a was not sent: no exchange in 0.05 s", {
				sent: false,
				routed: false,
			}),
		);
	});

	test.each([{ topic: "é".repeat(128) }, { server: "x".repeat(250) }, { exchange: "x".repeat(256) }])(
		"of a name that AMQP has no room for: %j",
		async (names) => {
			const { client } = await setUp();
			await expect(client.call({ ...TARGET, ...names }, "ping", {}, OPTIONS)).rejects.toThrow(InvalidTarget);
			await expect(client.cast({ ...TARGET, ...names }, "ping", {})).rejects.toThrow(
				"a name on the bus has 255 at most",
			);
		},
	);

	test("has the fields of oslo's request, and its timeout as expiration", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", { arg: "x" }, { timeout: 60, context: { request_id: "req-1" } });
		const { fields, msgId, answer, expiration } = await request();
		expect(fields).toEqual({
			method: "ping",
			args: { arg: "x" },
			namespace: "baseapi",
			version: "1.1",
			_context_request_id: "req-1",
			_msg_id: expect.stringMatching(/^[0-9a-f]{32}$/),
			_reply_q: expect.stringMatching(/^reply_[0-9a-f]{32}$/),
			// Null without a call monitor: a server must not send heartbeats then.
			_timeout: null,
			_unique_id: expect.stringMatching(/^[0-9a-f]{32}$/),
		});
		expect(expiration).toBe("60000");
		await answer(resultReply(msgId, "pong"));
		expect(await call).toBe("pong");
	});

	test("shares one reply queue with all others; replies may come in any order", async () => {
		const { client, request } = await setUp();
		const calls = [client.call(TARGET, "ping", {}, OPTIONS), client.call(TARGET, "ping", {}, OPTIONS)];
		const [first, second] = [await request(0), await request(1)];
		expect(second.fields["_reply_q"]).toBe(first.fields["_reply_q"]);
		await second.answer(resultReply(second.msgId, 2));
		await first.answer(resultReply(first.msgId, 1));
		expect(await Promise.all(calls)).toEqual([1, 2]);
	});

	test("throws RemoteError for a failure", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, OPTIONS);
		const { msgId, answer } = await request();
		await answer(failureReply(msgId, new RpcFailure("InstanceNotFound", "nova.exception", "gone", [])));
		await expect(call).rejects.toThrow(new RemoteError("InstanceNotFound", "nova.exception", "gone"));
	});

	test("throws MessagingTimeout when nothing comes; what comes later is dropped", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 0.05 });
		await expect(call).rejects.toThrow(
			new MessagingTimeout("no reply to ping of nova/compute.host-a in 0.05 s", { sent: true, routed: true }),
		);
		const { msgId, answer } = await request();
		expect(await answer(resultReply(msgId, "late"))).toBe("routed");
		const next = client.call(TARGET, "ping", {}, OPTIONS);
		const second = await request(1);
		await second.answer(resultReply(second.msgId, "in time"));
		expect(await next).toBe("in time");
	});

	test("throws MessageUndeliverable at once when there is no such server", async () => {
		const { client } = await setUp();
		const call = client.call({ ...TARGET, server: "host-b" }, "ping", {}, OPTIONS);
		await expect(call).rejects.toThrow(new MessageUndeliverable("nothing listens on nova/compute.host-b"));
	});

	/** target, what is wrong with it: found before anything is sent */
	const WRONG: readonly (readonly [target: ClientTarget, says: string])[] = [
		[{ exchange: "nova", topic: "compute", fanout: true }, "a call cannot be used with fanout: compute_fanout"],
		[{ exchange: "nova", topic: "" }, "the target has no topic"],
		[{ exchange: "", topic: "compute" }, "the target with topic compute has no exchange"],
	];
	test.each(WRONG)("to %j throws InvalidTarget", async (target, says) => {
		const { client } = await setUp();
		await expect(client.call(target, "ping", {}, OPTIONS)).rejects.toThrow(new InvalidTarget(says));
		expect(client.waiting).toBe(0);
	});

	test("may take longer than Node's longest timer", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 1e9 });
		const { msgId, answer } = await request();
		await answer(resultReply(msgId, "patience"));
		expect(await call).toBe("patience");
	});

	test("throws TypeError for arguments that are not JSON, and nothing later", async () => {
		const { client, request } = await setUp();
		const endless: unknown[] = [];
		endless.push(endless);
		await expect(client.call(TARGET, "ping", { endless }, { timeout: 0.01 })).rejects.toThrow(TypeError);
		// Beyond its timeout: a forgotten one would be an unhandled rejection, which fails the run.
		await expect(client.call(TARGET, "ping", {}, { timeout: 0.05 })).rejects.toThrow(MessagingTimeout);
		expect((await request(0)).fields["args"]).toEqual({});
	});

	test("keeps its timeout when there is no broker to listen at, and is not sent when one comes too late", async () => {
		let connect: () => void = () => undefined;
		const connected = new Promise<void>((resolve) => {
			connect = resolve;
		});
		class LateTransport extends MemoryTransport {
			override async listenForReplies(...args: Parameters<MemoryTransport["listenForReplies"]>): Promise<Consumer> {
				await connected;
				return super.listenForReplies(...args);
			}
		}
		const transport = new LateTransport();
		const inbox = new Inbox();
		await transport.listen(SERVER, 64, inbox.ack);
		const client = new RpcClient(transport);
		await expect(client.call(TARGET, "early", {}, { timeout: 0.05 })).rejects.toThrow(
			new MessagingTimeout("early of nova/compute.host-a was not sent: no reply queue in 0.05 s", {
				sent: false,
				routed: false,
			}),
		);
		const call = client.call(TARGET, "waiting", {}, OPTIONS);
		connect();
		const fields = openEnvelope(await inbox.at(0));
		expect(fields["method"]).toBe("waiting");
		const to = { kind: "reply", queue: String(fields["_reply_q"]) } as const;
		await transport.publish(to, resultReply(String(fields["_msg_id"]), "ok"), { timeout: 1_000 });
		expect(await call).toBe("ok");
	});
});

describe("an odd reply", () => {
	type Reply = (msgId: string) => Buffer;
	const reply =
		(fields: Readonly<Record<string, unknown>>): Reply =>
		(_msg_id) =>
			sealEnvelope({ _msg_id, _unique_id: "u", ...fields });
	const end = reply({ result: null, failure: null, ending: true });
	const failure = '{"class":"E","module":"m","message":"no","tb":[],"args":[],"kwargs":{}}';

	/**
	 * Every row of oslo-messaging.md 4.2 (what Python's client does with it, tried): what comes, what the caller gets.
	 * Where Python's caller gets an exception of its own machinery, ours gets the value, the failure, or the timeout.
	 */
	const ROWS: readonly (readonly [what: string, replies: readonly Reply[], outcome: unknown])[] = [
		["P2: without `failure` (Python: KeyError)", [reply({ result: 1, ending: true })], 1],
		["without `result`", [reply({ failure: null, ending: true })], null],
		["a result without `ending`", [reply({ result: 1, failure: null })], MessagingTimeout],
		["a result that is not the end", [reply({ result: 1, failure: null, ending: false })], MessagingTimeout],
		[
			"P3: a heartbeat without a call monitor (Python: AttributeError)",
			[heartbeat, (msgId) => resultReply(msgId, 1)],
			1,
		],
		["a result, and the end by itself (before Newton)", [reply({ result: 1, ending: false }), end], 1],
		["null and the end, then a result", [end, (msgId) => resultReply(msgId, 1)], null],
		["false", [(msgId) => resultReply(msgId, false)], false],
		["0", [(msgId) => resultReply(msgId, 0)], 0],
		["an empty text", [(msgId) => resultReply(msgId, "")], ""],
		["an empty list", [(msgId) => resultReply(msgId, [])], []],
		["an empty object", [(msgId) => resultReply(msgId, {})], {}],
		["false that is not the end, then the end", [reply({ result: false, failure: null, ending: false }), end], false],
		["without `_unique_id`", [(_msg_id) => sealEnvelope({ _msg_id, result: 1, ending: true })], 1],
		[
			"with a `_unique_id` that was there before",
			[() => sealEnvelope({ _msg_id: "other", _unique_id: "u" }), reply({ result: 1, ending: true })],
			1,
		],
		["with an unknown `_msg_id`", [() => resultReply("other", 1)], MessagingTimeout],
		["without `_msg_id`", [() => sealEnvelope({ result: 1, failure: null, ending: true })], MessagingTimeout],
		["the second one of a call", [(msgId) => resultReply(msgId, 1), (msgId) => resultReply(msgId, 2)], 1],
		["without envelope", [(_msg_id) => Buffer.from(JSON.stringify({ _msg_id, result: 1, ending: true }))], 1],
		["that is garbage", [() => Buffer.from("garbage")], MessagingTimeout],
		[
			"P1: whose failure is an object (Python: JSONDecodeError)",
			[reply({ failure: JSON.parse(failure), ending: true })],
			new RemoteError("E", "m", "no"),
		],
		[
			"P1, P8: whose failure is an integer beyond 2^53",
			[reply({ failure: 2n ** 70n, ending: true })],
			new RemoteError("unknown", "unknown", String(2n ** 70n)),
		],
		["whose failure is no JSON", [reply({ failure: "no", ending: true })], new RemoteError("unknown", "unknown", "no")],
		["whose failure is empty", [reply({ result: 1, failure: "", ending: true })], 1],
		["with both", [reply({ result: 1, failure, ending: true })], new RemoteError("E", "m", "no")],
		["a failure that is not the end", [reply({ failure, ending: false })], new RemoteError("E", "m", "no")],
		[
			"P27: whose traceback is null (Python: TypeError)",
			[reply({ failure: failure.replace('"tb":[]', '"tb":null'), ending: true })],
			new RemoteError("E", "m", "no"),
		],
		[
			"whose message is an object without a text",
			[reply({ failure: '{"class":"E","module":"m","message":{"toString":1}}', ending: true })],
			new RemoteError("E", "m", '{"toString":1}'),
		],
	];
	test.each(ROWS)("%s", async (_what, replies, outcome) => {
		const { client, request } = await setUp();
		const waits = outcome === MessagingTimeout;
		const call = client.call(TARGET, "ping", {}, { timeout: waits ? 0.1 : 10 }).catch((error: unknown) => error);
		const { msgId, answer } = await request();
		for (const each of replies) await answer(each(msgId));
		const got = await call;
		if (waits) expect(got).toBeInstanceOf(MessagingTimeout);
		else expect(got).toEqual(outcome);
		expect(client.waiting).toBe(0);
	});

	test("P5: with a content type that is not JSON's is none", async () => {
		class OddTransport extends MemoryTransport {
			override listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
				const odd = "application/json; charset=utf-8";
				return super.listenForReplies(queue, (delivery) => onDelivery({ ...delivery, contentType: odd }));
			}
		}
		const { client, request } = await setUp({}, new OddTransport());
		const call = client.call(TARGET, "ping", {}, { timeout: 0.1 });
		const failed = expect(call).rejects.toThrow(MessagingTimeout);
		const { msgId, answer } = await request();
		await answer(resultReply(msgId, 1));
		await failed;
	});

	test("nothing is forgotten: whatever comes, in whatever order, every call ends and nobody waits any more", async () => {
		const odd = fc.record(
			{
				_msg_id: fc.oneof(fc.nat(9), fc.jsonValue()),
				result: fc.jsonValue(),
				failure: fc.oneof(fc.jsonValue(), fc.json(), fc.constant(null)),
				ending: fc.oneof(fc.boolean(), fc.jsonValue()),
			},
			{ requiredKeys: [] },
		);
		await fc.assert(
			fc.asyncProperty(fc.array(odd, { maxLength: 30 }), fc.array(fc.boolean(), { minLength: 1, maxLength: 10 }), run),
			{ numRuns: 60 },
		);

		/** As many calls as `monitored` says, all of them asked before the first reply. */
		async function run(replies: readonly Readonly<Record<string, unknown>>[], monitored: readonly boolean[]) {
			const { client, request } = await setUp();
			const calls = monitored.map((monitor) =>
				client
					.call(TARGET, "ping", {}, { timeout: 0.03, ...(monitor && { callMonitorTimeout: 0.02 }) })
					.catch((error: unknown) => error),
			);
			const requests = await Promise.all(monitored.map((_monitor, index) => request(index)));
			const [first] = requests;
			for (const { _msg_id, ...fields } of replies) {
				const own = typeof _msg_id === "number" ? requests[_msg_id]?.msgId : _msg_id;
				await first?.answer(sealEnvelope({ ...fields, _msg_id: own ?? null }));
			}
			const outcomes = await Promise.all(calls);
			expect(client.waiting).toBe(0);
			for (const error of outcomes.filter((outcome) => outcome instanceof Error)) {
				expect(["RemoteError", "MessagingTimeout"]).toContain(error.name);
			}
		}
	}, 60_000);
});

describe("P19: a version cap", () => {
	/** cap, version of the target, whether it is sent (oslo-messaging.md 5.2) */
	const CAPS: readonly (readonly [cap: string | undefined, version: string | undefined, sent: boolean])[] = [
		[undefined, "9.9", true],
		[undefined, undefined, true],
		["1.5", "1.5", true],
		["1.5", "1.4", true],
		["1.5", "1.6", false],
		["1.10", "1.9", true],
		["1.5", "2.0", false],
		["1.5", undefined, false],
	];
	test.each(CAPS)("of %s: a message of version %s is sent: %s", async (versionCap, version, sent) => {
		const { client, inbox } = await setUp(versionCap === undefined ? {} : { versionCap });
		const target = { ...SERVER, ...(version !== undefined && { version }) };
		if (version !== undefined) expect(client.canSendVersion(version)).toBe(sent);
		const outcome = await client.cast(target, "note", {}).catch((error: unknown) => error);
		expect(outcome).toEqual(sent ? "routed" : expect.any(RPCVersionCapError));
		const call = client.call(target, "ping", {}, { timeout: 0.02 });
		await expect(call).rejects.toThrow(sent ? MessagingTimeout : RPCVersionCapError);
		await expect.poll(() => inbox.deliveries).toHaveLength(sent ? 2 : 0);
	});
});

describe("close", () => {
	test("ends the calls that wait, refuses new ones, and listens for replies no longer", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, OPTIONS).catch((error: unknown) => error);
		await request();
		await client.close();
		expect(await call).toEqual(new MessageDeliveryFailure("the client was closed"));
		expect(client.waiting).toBe(0);
		await expect(client.call(TARGET, "ping", {}, OPTIONS)).rejects.toThrow("the client is closed");
	});

	test("does not wait for a broker that is away", async () => {
		let cancelled = 0;
		let connect: (consumer: Consumer) => void = () => undefined;
		class AbsentTransport extends MemoryTransport {
			override listenForReplies(): Promise<Consumer> {
				return new Promise((resolve) => {
					connect = resolve;
				});
			}
		}
		const client = new RpcClient(new AbsentTransport());
		const call = client.call(TARGET, "ping", {}, OPTIONS).catch((error: unknown) => error);
		await client.close();
		expect(await call).toBeInstanceOf(MessageDeliveryFailure);
		connect({ cancel: async () => void cancelled++ });
		await expect.poll(() => cancelled).toBe(1);
	});
});

describe("a call monitor", () => {
	test("ends a call that shows no sign of life, before its timeout", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 60, callMonitorTimeout: 0.05 });
		await expect(call).rejects.toThrow("no reply to ping of nova/compute.host-a in 0.05 s");
		expect((await request()).fields["_timeout"]).toBe(0.05);
	});

	test("starts again with every heartbeat", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 60, callMonitorTimeout: 2 });
		const { msgId, answer } = await request();
		const start = performance.now();
		while (performance.now() - start < 3_000) {
			await answer(heartbeat(msgId));
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		await answer(resultReply(msgId, "worth it"));
		expect(await call).toBe("worth it");
	});

	test("does not lengthen the timeout", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 0.2, callMonitorTimeout: 60 });
		const failed = expect(call).rejects.toThrow("no reply to ping of nova/compute.host-a in 0.2 s");
		const { msgId, answer } = await request();
		await answer(heartbeat(msgId));
		await failed;
	});
});

describe("a cast", () => {
	test("has neither the fields of a call nor an expiration", async () => {
		const { client, request } = await setUp();
		expect(await client.cast(TARGET, "note", { x: 1 }, { request_id: "req-1" })).toBe("routed");
		const { fields, expiration } = await request();
		expect(Object.keys(fields)).toEqual([
			"method",
			"args",
			"namespace",
			"version",
			"_context_request_id",
			"_unique_id",
		]);
		expect(expiration).toBeUndefined();
	});

	/** target, whether somebody gets it */
	const TARGETS: readonly (readonly [target: ClientTarget, outcome: "routed" | "unroutable"])[] = [
		[{ exchange: "nova", topic: "compute" }, "routed"],
		[{ exchange: "nova", topic: "compute", server: "host-a" }, "routed"],
		[{ exchange: "nova", topic: "compute", server: "host-b" }, "unroutable"],
		[{ exchange: "other", topic: "compute" }, "unroutable"],
		[{ exchange: "nova", topic: "other" }, "unroutable"],
		[{ exchange: "nova", topic: "compute", fanout: true }, "routed"],
		[{ exchange: "nova", topic: "other", fanout: true }, "unroutable"],
	];
	test("P17: the control exchange has no part in a fanout", async () => {
		const { client } = await setUp();
		expect(await client.cast({ exchange: "other", topic: "compute", fanout: true }, "note", {})).toBe("routed");
	});

	test.each(TARGETS)("to %j is %s", async (target, outcome) => {
		const { client, request } = await setUp();
		expect(await client.cast(target, "note", {})).toBe(outcome);
		if (outcome === "routed") expect((await request()).fields["method"]).toBe("note");
	});
});
