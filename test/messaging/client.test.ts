import { describe, expect, test } from "vitest";
import { RpcClient } from "../../src/messaging/client.ts";
import { MessageDeliveryFailure, MessagingTimeout, RemoteError } from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { failureReply, heartbeat, openEnvelope, resultReply, sealEnvelope } from "../../src/messaging/message.ts";
import type { ClientTarget, ServerTarget } from "../../src/messaging/target.ts";
import type { Consumer } from "../../src/messaging/transport.ts";
import { Inbox } from "./inbox.ts";

const SERVER: ServerTarget = { exchange: "nova", topic: "compute", server: "host-a" };
const TARGET: ClientTarget = { ...SERVER, namespace: "baseapi", version: "1.1" };
const OPTIONS = { timeout: 10 };

/** A client, and the requests that reach its server, which answers by hand. */
async function setUp() {
	const transport = new MemoryTransport();
	const inbox = new Inbox();
	await transport.listen(SERVER, 64, inbox.ack);
	const client = new RpcClient(transport);
	const request = async (index = 0) => {
		const { body, contentType, expiration } = await inbox.at(index);
		const fields = openEnvelope(body, contentType);
		const msgId = String(fields["_msg_id"]);
		const answer = (reply: Buffer) =>
			transport.publish({ kind: "reply", queue: String(fields["_reply_q"]) }, reply, { timeout: 1_000 });
		return { fields, msgId, answer, expiration };
	};
	return { transport, client, request };
}

describe("a call", () => {
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
		await answer(failureReply(msgId, '{"class":"InstanceNotFound","module":"nova.exception","message":"gone"}'));
		await expect(call).rejects.toThrow(new RemoteError("InstanceNotFound", "nova.exception", "gone"));
	});

	test("throws MessagingTimeout when nothing comes; what comes later is dropped", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 0.05 });
		await expect(call).rejects.toThrow(new MessagingTimeout("no reply to ping in 0.05 s"));
		const { msgId, answer } = await request();
		expect(await answer(resultReply(msgId, "late"))).toBe("routed");
		const next = client.call(TARGET, "ping", {}, OPTIONS);
		const second = await request(1);
		await second.answer(resultReply(second.msgId, "in time"));
		expect(await next).toBe("in time");
	});

	test("throws MessageDeliveryFailure at once when there is no such server", async () => {
		const { client } = await setUp();
		const call = client.call({ ...TARGET, server: "host-b" }, "ping", {}, OPTIONS);
		await expect(call).rejects.toThrow(MessageDeliveryFailure);
	});

	test("throws TypeError for arguments that are not JSON, and nothing later", async () => {
		const { client, request } = await setUp();
		await expect(client.call(TARGET, "ping", { arg: 1n }, { timeout: 0.01 })).rejects.toThrow(TypeError);
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
		await expect(client.call(TARGET, "early", {}, { timeout: 0.05 })).rejects.toThrow(MessagingTimeout);
		const call = client.call(TARGET, "waiting", {}, OPTIONS);
		connect();
		const { body, contentType } = await inbox.at(0);
		const fields = openEnvelope(body, contentType);
		expect(fields["method"]).toBe("waiting");
		const to = { kind: "reply", queue: String(fields["_reply_q"]) } as const;
		await transport.publish(to, resultReply(String(fields["_msg_id"]), "ok"), { timeout: 1_000 });
		expect(await call).toBe("ok");
	});
});

describe("an odd reply", () => {
	/** what comes before the good reply and changes nothing (oslo-messaging.md 4.2) */
	const IGNORED: readonly (readonly [what: string, reply: (msgId: string) => Buffer])[] = [
		["garbage", () => Buffer.from("garbage")],
		["one without id", () => sealEnvelope({ result: 1, failure: null, ending: true })],
		["one to somebody else", () => resultReply("other", "wrong")],
		["a result that is not the end", (msgId) => sealEnvelope({ _msg_id: msgId, result: "wrong", ending: false })],
		["a heartbeat without call monitor", (msgId) => heartbeat(msgId)],
		["a failure that is an object", (msgId) => sealEnvelope({ _msg_id: msgId, failure: {}, ending: true })],
	];
	test.each(IGNORED)("is ignored: %s", async (_what, reply) => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, OPTIONS);
		const { msgId, answer } = await request();
		await answer(reply(msgId));
		await answer(resultReply(msgId, "right"));
		await answer(resultReply(msgId, "second"));
		expect(await call).toBe("right");
	});

	test("without envelope or result is a reply", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, OPTIONS);
		const { msgId, answer } = await request();
		await answer(Buffer.from(JSON.stringify({ _msg_id: msgId, failure: null, ending: true })));
		expect(await call).toBeNull();
	});
});

describe("a call monitor", () => {
	test("ends a call that shows no sign of life, before its timeout", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 60, callMonitorTimeout: 0.05 });
		await expect(call).rejects.toThrow("no reply to ping in 0.05 s");
		expect((await request()).fields["_timeout"]).toBe(0.05);
	});

	test("starts again with every heartbeat", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 60, callMonitorTimeout: 0.5 });
		const { msgId, answer } = await request();
		const start = performance.now();
		while (performance.now() - start < 1_000) {
			await answer(heartbeat(msgId));
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
		await answer(resultReply(msgId, "worth it"));
		expect(await call).toBe("worth it");
	});

	test("does not lengthen the timeout", async () => {
		const { client, request } = await setUp();
		const call = client.call(TARGET, "ping", {}, { timeout: 0.2, callMonitorTimeout: 60 });
		const failed = expect(call).rejects.toThrow("no reply to ping in 0.2 s");
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
		// P17: the control exchange has no part in a fanout.
		[{ exchange: "other", topic: "compute", fanout: true }, "routed"],
		[{ exchange: "nova", topic: "other", fanout: true }, "unroutable"],
	];
	test.each(TARGETS)("to %j is %s", async (target, outcome) => {
		const { client, request } = await setUp();
		expect(await client.cast(target, "note", {})).toBe(outcome);
		if (outcome === "routed") expect((await request()).fields["method"]).toBe("note");
	});
});
