import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import amqp, { type Channel, type ChannelModel, type Options } from "amqplib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { RpcClient } from "../../../src/messaging/client.ts";
import type { Endpoint, Method } from "../../../src/messaging/endpoint.ts";
import { MessageDeliveryFailure, MessagingTimeout } from "../../../src/messaging/errors.ts";
import { MAX_BODY_BYTES, newId } from "../../../src/messaging/message.ts";
import { declare, type Foreign } from "../../../src/messaging/rabbit/declare.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../../src/messaging/server.ts";
import { fanoutExchange, type ServerTarget, serverKey } from "../../../src/messaging/target.ts";
import { held } from "../../support/garbage.ts";
import { gate } from "../../support/gate.ts";
import { recordingLog } from "../../support/log.ts";
import { ownTime } from "../../support/own-time.ts";
import { startProxy } from "../../support/proxy.ts";
import { GUEST, startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { nested, publishRaw } from "../../support/raw-publish.ts";
import { Inbox } from "../inbox.ts";
import { transportContract } from "../transport-contract.ts";

/** Bounds of the fault matrix, in milliseconds. */
const BACK_AFTER_PORT_OPENS = 5_000;
const BACK_AFTER_QUEUE_DELETED = 2_000;
const HUNG_BROKER_NOTICED = 16_000;
const ONE_CONNECT_ATTEMPT = 3_500;
const CHANNEL_BACK = 1_000;
const CANCELLED = 3_000;

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());

/** A transport to the broker, or to what is given, that ends with the test. */
function open(url = broker.url, options: Readonly<Record<string, unknown>> = {}) {
	const { log, lines } = recordingLog();
	const transport = new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse(options),
		connectionName: "novacompat-test",
		log,
	});
	onTestFinished(() => transport.close());
	return { transport, log, lines };
}

function urlOf(port: number): string {
	return `rabbit://${GUEST}@127.0.0.1:${port}/`;
}

function newTarget(): ServerTarget {
	return { exchange: `x_${newId()}`, topic: `t_${newId()}`, server: "host-a" };
}

/** The frame with which a broker ends a connection: with 320 CONNECTION_FORCED as it stops. */
function closure(code: number): Buffer {
	const text = "broker forced connection closure with reason 'shutdown'";
	// Class and method of connection.close, the code, the text; it answers to no method.
	const payload = Buffer.from([0, 10, 0, 50, code >> 8, code & 0xff, text.length, ...Buffer.from(text), 0, 0, 0, 0]);
	return Buffer.from([1, 0, 0, 0, 0, 0, payload.length, ...payload, 0xce]);
}

function toNobody() {
	return { kind: "reply", queue: `reply_${newId()}` } as const;
}

/** A channel of another program: what the broker has, without the code under test. */
async function observe(): Promise<Channel> {
	const connection = await amqp.connect(`amqp://${GUEST}@127.0.0.1:${broker.port}`);
	connection.on("error", () => undefined);
	onTestFinished(() => connection.close().catch(() => undefined));
	const channel = await connection.createChannel();
	channel.on("error", () => undefined);
	return channel;
}

/** An RPC server with the one method `m`. */
async function serve(
	handler: Method<null>["handler"],
	target = newTarget(),
	url = broker.url,
	options: Readonly<Record<string, unknown>> = {},
) {
	const { transport, log, lines } = open(url, options);
	const endpoint: Endpoint<null> = {
		namespace: null,
		version: "1.0",
		methods: new Map([["m", { required: [], optional: ["x"], handler }]]),
	};
	const server = new RpcServer({
		transport,
		targets: [target],
		endpoints: [endpoint],
		deserializeContext: () => null,
		log,
		maxInFlight: 64,
		maxCallTime: 15,
	});
	await server.start();
	return { target, transport, server, lines };
}

/** Milliseconds of our own that `work` took. */
async function duration(work: () => Promise<unknown>): Promise<number> {
	const passed = ownTime();
	await work();
	return passed();
}

/** Asks until there is an answer, one call at a time: what a caller does that does not give up. */
async function answered(client: RpcClient, target: ServerTarget): Promise<unknown> {
	for (;;) {
		try {
			return await client.call(target, "m", {}, { timeout: 0.5 });
		} catch (error) {
			if (!(error instanceof MessagingTimeout || error instanceof MessageDeliveryFailure)) throw error;
		}
	}
}

transportContract("RabbitTransport", () => open().transport);

describe("what is declared", () => {
	/** Name and arguments of the queues, as Python declares them with default options (oslo-messaging.md 2.3). */
	const QUEUE = { durable: false, exclusive: false, autoDelete: false };
	const TRANSIENT = { ...QUEUE, arguments: { "x-expires": 1_800_000 } };

	test("P15, P18: a peer that declares the same with Python's arguments gets no 406, in both orders", async () => {
		const target = newTarget();
		const declare = async (peer: Channel) => {
			await peer.assertExchange(target.exchange, "topic", { durable: false, autoDelete: false });
			await peer.assertQueue(target.topic, QUEUE);
			await peer.bindQueue(target.topic, target.exchange, target.topic);
			await peer.assertQueue(serverKey(target), QUEUE);
			await peer.bindQueue(serverKey(target), target.exchange, serverKey(target));
			await peer.assertExchange(fanoutExchange(target), "fanout", { durable: false, autoDelete: true });
		};
		await declare(await observe());
		const { transport } = open();
		await transport.listen(target, 64, (delivery) => delivery.ack());
		await declare(await observe());
	});

	test("P12, P15: the reply queue is Python's, and bound to nothing", async () => {
		const queue = `reply_${newId()}`;
		const { transport } = open();
		await transport.listenForReplies(queue, (delivery) => delivery.ack());
		expect(await (await observe()).assertQueue(queue, TRANSIENT)).toMatchObject({ consumerCount: 1 });
	});

	test("P6: a message has Python's properties, and headers although they are empty", async () => {
		const target = newTarget();
		const peer = await observe();
		await peer.assertExchange(target.exchange, "topic", { durable: false, autoDelete: false });
		await peer.assertQueue(target.topic, QUEUE);
		await peer.bindQueue(target.topic, target.exchange, target.topic);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await open().transport.publish(to, Buffer.from("{}"), { timeout: 5_000, expiration: 60_000 });
		const message = await peer.get(target.topic, { noAck: true });
		expect(message).toMatchObject({
			properties: {
				contentType: "application/json",
				contentEncoding: "utf-8",
				headers: {},
				deliveryMode: 2,
				priority: 0,
				expiration: "60000",
				replyTo: undefined,
				correlationId: undefined,
			},
			fields: { exchange: target.exchange, routingKey: target.topic },
		});
	});

	test("row 14: what exists with other arguments is used as it is; the log has both values", async () => {
		const target = newTarget();
		const peer = await observe();
		await peer.assertExchange(target.exchange, "topic", { durable: true, autoDelete: false });
		await peer.assertQueue(target.topic, { ...QUEUE, durable: true });
		const { target: served, lines } = await serve(async () => "served", target);
		const client = open();
		expect(await new RpcClient(client.transport).call(served, "m", {}, { timeout: 5 })).toBe("served");
		const errors = lines.filter((line) => line.includes(" ERROR "));
		const hint =
			"amqp_durable_queues, rabbit_quorum_queue and rabbit_transient_quorum_queue must be as in nova.conf; using it as it is";
		const told = (what: string) =>
			expect.stringMatching(new RegExp(`'durable' for ${what}.* received 'false' but current is 'true'.*: ${hint}\n$`));
		expect(errors).toEqual([told("exchange 'x_"), told("queue 't_")]);
		// P18: the same for who publishes only.
		expect(client.lines.join("")).toMatch(/ ERROR .*'durable' for exchange 'x_/);
	});

	const LIMITED = { rabbit_quorum_queue: true, rabbit_quorum_delivery_limit: 7 };
	const QUORUM = { durable: true, arguments: { "x-queue-type": "quorum" } };
	/** the queue of the topic as somebody has made it, our options, what to look at */
	const OTHERS: readonly (readonly [Options.AssertQueue, Readonly<Record<string, unknown>>, RegExp])[] = [
		[{ durable: true }, {}, /'durable' .*: amqp_durable_queues, .* must be as in nova\.conf; using it/],
		[{ autoDelete: true }, {}, /'auto_delete' .*: amqp_auto_delete must be as in nova\.conf; using it/],
		[{ durable: true }, { rabbit_quorum_queue: true }, /'x-queue-type' .*: rabbit_quorum_queue, .* must be as in /],
		[QUORUM, LIMITED, /'x-delivery-limit' .*: rabbit_quorum_delivery_limit must be as in nova\.conf; using it/],
		...["x-max-length", "x-message-ttl", "x-expires"].map((name) => {
			const said = new RegExp(
				`'${name}' .*: no option makes it so: delete it, and it is declared as here; .*set_policy`,
			);
			return [{ arguments: { [name]: 60_000 } }, {}, said] as const;
		}),
		[
			{ arguments: { "x-dead-letter-exchange": "dead" } },
			{},
			/'x-dead-letter-exchange' .*: no option makes it so: delete it, /,
		],
	];
	test.each(OTHERS)("row 14: a queue with %j: what to look at is told", async (other, options, says) => {
		const target = newTarget();
		await (await observe()).assertQueue(target.topic, { ...QUEUE, ...other });
		const { lines } = await serve(async () => "served", target, broker.url, options);
		const errors = lines.filter((line) => line.includes(" ERROR ") && line.includes(`queue '${target.topic}'`));
		expect(errors).toEqual([expect.stringMatching(says)]);
		expect(errors.join("")).not.toContain("rabbit_*");
	});

	test("row 14: it is told once, and declared once whoever made it has deleted it", async () => {
		const { port, cut } = await startProxy(broker.port);
		const target = newTarget();
		const peer = await observe();
		await peer.assertQueue(target.topic, { ...QUEUE, durable: true });
		const { target: served, transport, lines } = await serve(async () => "served", target, urlOf(port));
		const errors = () => lines.filter((line) => line.includes(" ERROR ")).length;
		expect(errors()).toBe(1);
		expect(transport.state()).toMatchObject({ consuming: true, inequivalent: [`queue ${target.topic}`] });
		const call = () => new RpcClient(open().transport).call(served, "m", {}, { timeout: 10 });
		cut();
		expect(await call()).toBe("served");
		expect(errors()).toBe(1);
		await peer.deleteQueue(target.topic);
		await expect
			.poll(async () =>
				(await observe()).checkQueue(target.topic).then(
					() => "there",
					() => "absent",
				),
			)
			.toBe("there");
		expect(await call()).toBe("served");
		expect(errors()).toBe(1);
		expect(transport.state()).toMatchObject({ consuming: true, inequivalent: [] });
	});

	test("row 14: an exchange that was made anew as ours is, is found to be so within five minutes", async () => {
		const connection = await amqp.connect(`amqp://${GUEST}@127.0.0.1:${broker.port}`);
		onTestFinished(() => connection.close());
		const peer = await observe();
		const { log, lines } = recordingLog();
		const exchange = {
			kind: "exchange",
			name: `x_${newId()}`,
			type: "topic",
			durable: false,
			autoDelete: false,
		} as const;
		const foreign: Foreign = new Map();
		const declared = async (later: number) => {
			const clock = vi.spyOn(performance, "now").mockReturnValue(performance.now() + later);
			await declare(connection, [exchange], log, foreign);
			clock.mockRestore();
			return [...foreign.values()].map(({ what }) => what);
		};
		await peer.assertExchange(exchange.name, "topic", { durable: true });
		expect(await declared(0)).toEqual([`exchange ${exchange.name}`]);
		expect(await declared(300_000)).toEqual([`exchange ${exchange.name}`]);
		expect(lines.filter((line) => line.includes(" ERROR "))).toHaveLength(1);
		await peer.deleteExchange(exchange.name);
		await peer.assertExchange(exchange.name, "topic", { durable: false });
		expect(await declared(600_001)).toEqual([]);
	});

	test("an exchange that the user may not declare is used as its owner declared it, and waited for until then", async () => {
		const target = newTarget();
		const own = `${target.topic}([._].*)?`;
		const user = `u_${newId()}`;
		const url = await broker.addUser(user);
		const [configure, write, read] = [`^${own}$`, `^(amq\\.default|${own})$`, `^(${target.exchange}|${own})$`];
		await broker.ctl("set_permissions", user, configure, write, read);
		const { transport, lines } = open(url);
		const peer = await observe();
		const inbox = new Inbox();
		const listening = transport.listen(target, 64, inbox.ack);
		const waits = / WARNING .*no exchange 'x_.*nobody has declared it yet/;
		await vi.waitFor(() => expect(lines.join("")).toMatch(waits), 30_000);

		await peer.assertExchange(target.exchange, "topic", { durable: true, autoDelete: false });
		await listening;
		peer.publish(target.exchange, serverKey(target), Buffer.from("{}"));
		expect(await inbox.at(0)).toMatchObject({ routingKey: serverKey(target) });
		expect(lines.join("")).not.toContain(" ERROR ");
	});

	test("row 14: an exchange of another type is not for us: no hot loop, and the others are served", async () => {
		const [wrong, right] = [newTarget(), newTarget()];
		const peer = await observe();
		await peer.assertExchange(wrong.exchange, "fanout", { durable: false, autoDelete: false });
		const { transport, lines } = open();
		const listening = transport.listen(wrong, 64, (delivery) => delivery.ack());
		const refused = expect(listening).rejects.toThrow("closed");
		await transport.listen(right, 64, (delivery) => delivery.ack());
		await sleep(1_500);
		const errors = lines.filter((line) => line.includes(" ERROR "));
		expect(errors).toEqual([expect.stringMatching(/'type' for exchange .*; next attempt in ([5-9]|10)\.\d s/)]);
		expect(await peer.checkQueue(serverKey(right))).toMatchObject({ consumerCount: 1 });
		await transport.close();
		await refused;
	});
});

describe("options", () => {
	const STREAM = {
		rabbit_quorum_queue: true,
		rabbit_transient_quorum_queue: true,
		rabbit_stream_fanout: true,
		rabbit_qos_prefetch_count: 10,
	};

	/** options that 14.0.3 does not know; topology-peer.test.ts has the others */
	const NEWER: readonly Readonly<Record<string, unknown>>[] = [
		{ rabbit_transient_queues_ttl: 0 },
		{ rabbit_quorum_queue: true, rabbit_transient_quorum_queue: true, rabbit_quorum_delivery_limit: 7 },
		STREAM,
		{ use_queue_manager: true },
	];
	test.each(NEWER)("P16: with %j RabbitMQ takes the declarations, twice, and calls are answered", async (options) => {
		const target = newTarget();
		const served = await serve(async () => "pong", target, broker.url, options);
		const again = await serve(async () => "pong", { ...target, server: "host-b" }, broker.url, options);
		const client = open(broker.url, options);
		const rpc = new RpcClient(client.transport);
		for (const server of ["host-a", "host-b"]) {
			expect(await rpc.call({ ...target, server }, "m", {}, { timeout: 10 })).toBe("pong");
		}
		expect(await rpc.cast({ ...target, fanout: true }, "m", {})).toBe("routed");
		for (const { lines } of [served, again, client]) expect(lines.join("")).not.toMatch(/ (WARNING|ERROR) /);
	});

	test("rabbit_stream_fanout: a message reaches each server once, also after a reconnect", async () => {
		const { port, cut } = await startProxy(broker.port);
		const target = newTarget();
		const [first, second, sender] = [open(urlOf(port), STREAM), open(broker.url, STREAM), open(broker.url, STREAM)];
		const [cutOff, steady] = [new Inbox(), new Inbox()];
		await first.transport.listen(target, 64, cutOff.ack);
		await second.transport.listen({ ...target, server: "host-b" }, 64, steady.ack);
		const to = { kind: "fanout", exchange: fanoutExchange(target) } as const;
		const send = (text: string) => sender.transport.publish(to, Buffer.from(text), { timeout: 5_000 });
		for (const text of ["1", "2", "3"]) await send(text);
		await Promise.all([cutOff.at(2), steady.at(2)]);
		cut();
		for (const text of ["4", "5"]) await send(text);
		await Promise.all([cutOff.at(4), steady.at(4)]);
		for (const { texts } of [cutOff, steady]) expect(texts).toEqual(["1", "2", "3", "4", "5"]);
		// A new stream counts from 0 again.
		await (await observe()).deleteQueue(fanoutExchange(target));
		await expect.poll(() => send("6")).toBe("routed");
		await Promise.all([cutOff.at(5), steady.at(5)]);
	});

	/** how many messages the new stream has when we come back, of which three had been read of the old one */
	test.each([2, 5])(
		"rabbit_stream_fanout: of a stream that was made again during an outage all %i are read",
		async (count) => {
			const { port, shut, mend } = await startProxy(broker.port);
			const target = newTarget();
			const stream = fanoutExchange(target);
			const [away, sender] = [open(urlOf(port), STREAM), open(broker.url, STREAM)];
			const inbox = new Inbox();
			await away.transport.listen(target, 64, inbox.ack);
			const send = (text: string) =>
				sender.transport.publish({ kind: "fanout", exchange: stream }, Buffer.from(text), { timeout: 5_000 });
			const old = ["1", "2", "3"];
			for (const text of old) await send(text);
			await inbox.at(2);
			shut();
			await expect.poll(() => away.transport.state().connected).toBeUndefined();
			await (await observe()).deleteQueue(stream);
			const other = open(broker.url, STREAM);
			const steady = new Inbox();
			await other.transport.listen({ ...target, server: "host-b" }, 64, steady.ack);
			const made = Array.from({ length: count }, (_, number) => `again ${number}`);
			for (const text of made) expect(await send(text)).toBe("routed");
			await steady.at(count - 1);
			mend();
			await expect.poll(() => inbox.texts).toEqual([...old, ...made]);
			await send("next");
			await expect.poll(() => inbox.texts).toEqual([...old, ...made, "next"]);
		},
	);

	test.each([1.5, -2, 1_000_000])(
		"rabbit_stream_fanout: no header of who sends to a topic moves it, %d",
		async (offset) => {
			const { port, cut } = await startProxy(broker.port);
			const target = newTarget();
			const { transport } = open(urlOf(port), STREAM);
			const inbox = new Inbox();
			await transport.listen(target, 64, inbox.ack);
			const peer = await observe();
			const send = (text: string) => peer.publish(fanoutExchange(target), "", Buffer.from(text));
			send("1");
			await inbox.at(0);
			peer.publish(target.exchange, target.topic, Buffer.from("odd"), { headers: { "x-stream-offset": offset } });
			await inbox.at(1);
			cut();
			await expect.poll(() => transport.state()).toMatchObject({ connections: 2, consuming: true });
			send("2");
			// Its acknowledgement may be lost.
			const fanouts = () => inbox.texts.filter((text) => text !== "odd");
			await expect.poll(fanouts).toEqual(["1", "2"]);
		},
	);

	/** options, whether the fanout queue is there after cancel */
	const LEFT: readonly (readonly [Readonly<Record<string, unknown>>, boolean])[] = [
		[{}, false],
		[{ use_queue_manager: true }, true],
		[STREAM, true],
	];
	test.each(LEFT)("with %j a fanout queue outlives its consumer: %s", async (options, left) => {
		const target = newTarget();
		const { transport } = open(broker.url, options);
		const consumer = await transport.listen(target, 64, (delivery) => delivery.ack());
		await consumer.cancel();
		const to = { kind: "fanout", exchange: fanoutExchange(target) } as const;
		const outcome = await transport.publish(to, Buffer.from("x"), { timeout: 5_000 });
		expect(outcome).toBe(left ? "routed" : "unroutable");
	});

	test("direct_mandatory_flag: without it nobody hears of a reply queue that is gone", async () => {
		const { transport } = open(broker.url, { direct_mandatory_flag: false });
		expect(await transport.publish(toNobody(), Buffer.from("x"), { timeout: 5_000 })).toBe("routed");
	});

	test.each([
		[2, 1],
		[1, 2],
	])("rabbit_qos_prefetch_count: %i, where the server asks for %i, is the more of both", async (option, prefetch) => {
		const target = newTarget();
		const { transport } = open(broker.url, { rabbit_qos_prefetch_count: option });
		const inbox = new Inbox();
		await transport.listen(target, prefetch, inbox.hold);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		for (const text of ["1", "2", "3"]) await transport.publish(to, Buffer.from(text), { timeout: 5_000 });
		await inbox.at(1);
		expect(await (await observe()).checkQueue(target.topic)).toMatchObject({ messageCount: 1 });
		(await inbox.at(0)).ack();
		await inbox.at(2);
	});

	test("rabbit_qos_prefetch_count: 1, as streams have it, does not make a server work on one request at a time", async () => {
		const [hold, begun] = [gate(), { count: 0 }];
		const work = async () => {
			begun.count++;
			await hold.opened;
			return "done";
		};
		const { target } = await serve(work, newTarget(), broker.url, { rabbit_qos_prefetch_count: 1 });
		const client = new RpcClient(open().transport);
		const calls = [1, 2, 3].map(() => client.call(target, "m", {}, { timeout: 15 }));
		try {
			await expect.poll(() => begun.count, { timeout: 3_000 }).toBe(3);
		} finally {
			hold.open();
			await Promise.all(calls);
		}
	});

	test("heartbeat_timeout_threshold: 0 leaves it to the kernel to notice that the broker's machine is gone", async () => {
		const { port } = await startProxy(broker.port);
		const { transport } = open(urlOf(port), { heartbeat_timeout_threshold: 0 });
		await transport.listen(newTarget(), 64, (delivery) => delivery.ack());
		// The remote address, the state (01 is established), what is queued, and the timer: 02 is that of keep-alive.
		const remote = port.toString(16).toUpperCase().padStart(4, "0");
		const ours = new RegExp(` [0-9A-F]{8}:${remote} 01 \\S+ (\\d\\d):`, "g");
		const timers = () => [...readFileSync("/proc/net/tcp", "utf8").matchAll(ours)].map(([, timer]) => timer);
		await expect.poll(timers).toEqual(["02", "02"]);
	});

	test("heartbeat_timeout_threshold: 0 is no heartbeat, what the broker offers is the most", async () => {
		for (const [given, agreed] of [
			[0, 0],
			[7, 7],
			[600, 60],
		]) {
			const { transport } = open(broker.url, { heartbeat_timeout_threshold: given });
			await transport.publish(toNobody(), Buffer.from("x"), { timeout: 5_000 });
			const timeouts = (await broker.ctl("list_connections", "timeout")).split("\n");
			expect(timeouts).toContain(String(agreed));
			await transport.close();
		}
	});
});

describe("a broken connection", () => {
	test("P14, row 6: a reset after any frame of the set-up is survived, and no dead connection is adopted", async () => {
		const rounds = Array.from({ length: 24 }, (_, index) => index + 1);
		await Promise.all(
			rounds.map(async (frames) => {
				const target = newTarget();
				// The second number meets the connection that publishes.
				const { port } = await startProxy(broker.port, [frames, frames]);
				await serve(async () => frames, target, urlOf(port));
				expect(await answered(new RpcClient(open().transport), target)).toBe(frames);
			}),
		);
	});

	test.each([
		[1, 320],
		[2, 320],
		[1, 541],
		[2, 541],
	])("P14: a broker that closes connection %i with the welcome is left, code %i", async (closed, code) => {
		// Of Start, Tune and OpenOk the last one is the welcome.
		const { port } = await startProxy(broker.port, [], (connection, frame) =>
			connection === closed && frame === 3 ? closure(code) : undefined,
		);
		const { transport } = open(urlOf(port));
		transport.listen(newTarget(), 1, () => undefined).catch(() => undefined);
		await expect.poll(() => transport.state().consuming).toBe(true);
		expect(await transport.publish(toNobody(), Buffer.from("x"), { timeout: 5_000 })).toBe("unroutable");
	});

	test("a connection that was lost is not kept in memory", async () => {
		const connect = amqp.connect;
		const connections: WeakRef<ChannelModel>[] = [];
		const connectAndTell = async (...args: Parameters<typeof connect>) => {
			const connection = await connect(...args);
			connections.push(new WeakRef(connection));
			return connection;
		};
		Object.assign(amqp, { connect: connectAndTell });
		onTestFinished(() => void Object.assign(amqp, { connect }));
		const { port, cut } = await startProxy(broker.port);
		const { transport } = open(urlOf(port));
		await transport.listen(newTarget(), 1, () => undefined);
		for (const count of [2, 3, 4]) {
			cut();
			await expect.poll(() => transport.state()).toMatchObject({ connections: count, consuming: true });
		}
		await expect.poll(() => held(connections)).toBe(2);
		expect(connections.length).toBeGreaterThanOrEqual(8);
	});

	test("P14: a cut leaves the same queues with one consumer each, and the running call completes", async () => {
		const { port, cut } = await startProxy(broker.port);
		const [started, result] = [gate(), gate()];
		let executions = 0;
		const { target } = await serve(
			() => {
				executions++;
				started.open();
				return result.opened;
			},
			newTarget(),
			urlOf(port),
		);
		const queues = [target.topic, serverKey(target)];
		const named = async () =>
			(await broker.ctl("list_queues", "-q", "name")).split("\n").filter((name) => name.startsWith(target.topic));
		const before = await named();
		expect(before.sort()).toEqual([...queues, expect.stringContaining("_fanout_")]);
		const client = new RpcClient(open().transport);
		const call = client.call(target, "m", {}, { timeout: 10 });
		await started.opened;
		cut();
		const peer = await observe();
		for (const queue of queues) {
			await expect.poll(async () => (await peer.checkQueue(queue)).consumerCount).toBe(1);
		}
		result.open("kept");
		expect(await call).toBe("kept");
		// Redelivered and recognized.
		expect(executions).toBe(1);
		// The fanout queue too: under another name the old one would collect messages until its time is over.
		expect((await named()).sort()).toEqual(before);
	});

	test.each([[7], [true], [{ a: "b" }], [["a"]], [null], [Buffer.from("00-a")]])(
		"a header traceparent that is no text is none: %j",
		async (traceparent) => {
			const target = newTarget();
			const inbox = new Inbox();
			await open().transport.listen(target, 64, inbox.ack);
			const peer = await observe();
			peer.publish(target.exchange, target.topic, Buffer.from("x"), { headers: { traceparent } });
			expect((await inbox.at(0)).traceparent).toBe(undefined);
		},
	);

	test("row 72: a request whose server dies is redelivered to another one, and answered there", async () => {
		const { port, shut } = await startProxy(broker.port);
		const target = newTarget();
		const dying = open(urlOf(port));
		const inbox = new Inbox();
		await dying.transport.listen(target, 64, inbox.hold);
		const call = new RpcClient(open().transport).call(target, "m", {}, { timeout: 10 });
		expect(await inbox.at(0)).toMatchObject({ redelivered: false });
		shut();
		await serve(async () => "from the second", target);
		expect(await call).toBe("from the second");
	});

	test("row 2: an acknowledgement of a lost connection does no harm; the message comes again, marked", async () => {
		const { port, cut } = await startProxy(broker.port);
		const target = newTarget();
		const { transport } = open(urlOf(port));
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.hold);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await transport.publish(to, Buffer.from("1"), { timeout: 5_000 });
		const first = await inbox.at(0);
		cut();
		const second = await inbox.at(1);
		first.ack();
		first.reject();
		second.ack();
		expect([first.redelivered, second.redelivered]).toEqual([false, true]);
		await transport.publish(to, Buffer.from("2"), { timeout: 5_000 });
		expect((await inbox.at(2)).body.toString()).toBe("2");
	});

	test("P31, row 13: a queue deleted under its consumer is declared and consumed again", async () => {
		const { target } = await serve(async () => "still here");
		const client = new RpcClient(open().transport);
		const peer = await observe();
		for (const queue of [serverKey(target), target.topic]) {
			await peer.deleteQueue(queue);
			expect(await duration(() => answered(client, target))).toBeLessThan(BACK_AFTER_QUEUE_DELETED);
			expect(await peer.checkQueue(queue)).toMatchObject({ consumerCount: 1 });
		}
	});

	test("P7: an exchange deleted under its queues is there again within ten seconds, and the queues bound to it", async () => {
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
		onTestFinished(() => void vi.useRealTimers());
		const target = newTarget();
		// amqplib's own intervals would miss the heartbeats of those seconds.
		const { transport } = open(broker.url, { heartbeat_timeout_threshold: 0 });
		const inbox = new Inbox();
		const consumer = await transport.listen(target, 64, inbox.ack);
		const peer = await observe();
		await peer.deleteExchange(target.exchange);
		await vi.advanceTimersByTimeAsync(9_000);
		const to = { kind: "topic", exchange: target.exchange, key: serverKey(target) } as const;
		const send = () => transport.publish(to, Buffer.from("x"), { timeout: 5_000 });
		await expect.poll(send, { timeout: 10_000 }).toBe("routed");
		await inbox.at(0);
		expect(await peer.checkQueue(target.topic)).toMatchObject({ consumerCount: 1 });
		const timers = vi.getTimerCount();
		await consumer.cancel();
		expect(vi.getTimerCount()).toBe(timers - 1);
	});

	test("row 14: each of many is looked at in a minute, although there are hardly more channels than that", async () => {
		const limit = (channels: number) => broker.ctl("eval", `application:set_env(rabbit, channel_max, ${channels}).`);
		await limit(9);
		onTestFinished(async () => void (await limit(2_047)));
		vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
		onTestFinished(() => void vi.useRealTimers());
		const { transport, lines } = open(broker.url, { heartbeat_timeout_threshold: 0 });
		const targets = Array.from({ length: 6 }, newTarget);
		await Promise.all(targets.map((target) => transport.listen(target, 64, (delivery) => delivery.ack())));
		const peer = await observe();
		for (const { exchange } of targets) await peer.deleteExchange(exchange);
		lines.length = 0;
		await vi.advanceTimersByTimeAsync(60_000);
		for (const target of targets) {
			const to = { kind: "topic", exchange: target.exchange, key: serverKey(target) } as const;
			await expect.poll(() => transport.publish(to, Buffer.from("x"), { timeout: 5_000 })).toBe("routed");
		}
		expect(lines).toEqual([]);
	});

	/** why nothing can be declared any more, the channels of a connection, what the user may configure, what the log says */
	const KEPT: readonly (readonly [why: string, channels: number, may: string, says: RegExp])[] = [
		[
			"the user may not",
			2_047,
			"^$",
			/ ERROR .* access to queue .*: check the permissions of the user .*; still consumed/,
		],
		["no channel is left", 1, ".*", / ERROR .* No channels left to allocate: raise channel_max .*; still consumed/],
	];
	test.each(KEPT)(
		"row 16: what cannot be declared again, since %s, is consumed all the same",
		async (_why, channels, may, says) => {
			const limit = (most: number) => broker.ctl("eval", `application:set_env(rabbit, channel_max, ${most}).`);
			const user = `u_${newId()}`;
			const url = await broker.addUser(user);
			const mayConfigure = (pattern: string) => broker.ctl("set_permissions", user, pattern, ".*", ".*");
			await mayConfigure(".*");
			await limit(channels);
			onTestFinished(async () => void (await limit(2_047)));
			vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
			onTestFinished(() => void vi.useRealTimers());
			const { transport, lines } = open(url, { heartbeat_timeout_threshold: 0 });
			const target = newTarget();
			const inbox = new Inbox();
			await transport.listen(target, 64, inbox.ack);
			await mayConfigure(may);
			await vi.advanceTimersByTimeAsync(60_000);
			await expect.poll(() => lines.join(""), { timeout: 5_000 }).toMatch(says);
			const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
			await open().transport.publish(to, Buffer.from("x"), { timeout: 5_000 });
			await inbox.at(0);
			expect(transport.state()).toMatchObject({ consuming: true });
		},
	);

	test("P13: a reply whose queue comes back within two seconds arrives", async () => {
		const peer = await observe();
		const target = newTarget();
		const queue = `reply_${newId()}`;
		const { transport } = await serve(async () => "late", target);
		const request = JSON.stringify({ method: "m", _msg_id: "1", _reply_q: queue });
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await transport.publish(to, Buffer.from(request), { timeout: 5_000 });
		await expect.poll(async () => (await peer.checkQueue(target.topic)).messageCount).toBe(0);
		const inbox = new Inbox();
		await open().transport.listenForReplies(queue, inbox.ack);
		expect((await inbox.at(0)).body.toString()).toContain("late");
	});
});

test.each([
	["a frame", 100_000, true],
	["the most that is read", MAX_BODY_BYTES, true],
	["a byte more", MAX_BODY_BYTES + 1, false],
	["row 26: 100 MB", 100_000_000, false],
])(
	"a body of %s is %i bytes: it arrives, or nothing of it does; the next one is whole",
	async (_name, size, arrives) => {
		const { transport } = open();
		const target = newTarget();
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.hold);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		for (const body of [Buffer.alloc(size), Buffer.from("next")]) await transport.publish(to, body, { timeout: 5_000 });
		const [delivery, next] = [await inbox.at(0), await inbox.at(1)];
		expect([delivery.body.length, delivery.tooLarge]).toEqual(arrives ? [size, undefined] : [0, size]);
		expect([next.body.toString(), next.tooLarge]).toEqual(["next", undefined]);
	},
);

/** RabbitMQ takes them all; what points out of its table it refuses itself. */
const ODD_HEADERS = [
	["nested 6,000 deep", nested(6_000)],
	["nested as deep as a frame lets it", nested(26_000)],
	// An unsigned integer of 64 bits, which amqplib does not read.
	["of the type L", Buffer.from("L\0\0\0\0\0\0\0\x07", "latin1")],
] as const;
test.each(ODD_HEADERS)(
	"a message with a header %s is one without properties, and costs no connection",
	async (_what, header) => {
		const { transport, lines } = open();
		const target = newTarget();
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.ack);
		const peer = await observe();
		publishRaw(peer, { exchange: target.exchange, key: target.topic }, header);
		peer.publish(target.exchange, target.topic, Buffer.from("next"), { contentType: "application/json" });
		await expect.poll(() => inbox.texts).toEqual(["{}", "next"]);
		expect(inbox.deliveries.map(({ contentType }) => contentType)).toEqual([undefined, "application/json"]);
		expect(transport.state().connections).toBe(1);
		expect(lines.join("")).toMatch(/ WARNING .*without its properties/);
	},
);

test("headers as long as a frame lets them come again, with what RabbitMQ adds to them", async () => {
	const { transport } = open(broker.url, { rabbit_quorum_queue: true });
	const target = newTarget();
	const inbox = new Inbox();
	await transport.listen(target, 64, inbox.hold);
	// Of 131,072 bytes it leaves none.
	const text = Buffer.alloc(131_022, "x");
	const length = Buffer.alloc(4);
	length.writeUInt32BE(text.length);
	const header = Buffer.concat([Buffer.from("S"), length, text]);
	publishRaw(await observe(), { exchange: target.exchange, key: target.topic }, header);
	(await inbox.at(0)).requeue();
	await expect.poll(() => inbox.deliveries.length).toBe(2);
	expect(inbox.deliveries[1]).toMatchObject({ contentType: "application/json", redelivered: true });
	expect(transport.state().connections).toBe(1);
});

test("a message that cannot be taken is rejected, and costs no channel", async () => {
	const { transport, lines } = open();
	const target = newTarget();
	const taken: string[] = [];
	await transport.listen(target, 64, ({ body, ack }) => {
		taken.push(body.toString());
		if (String(body).startsWith("acknowledged")) ack();
		if (String(body) !== "next") throw new TypeError(`cannot take ${body}`);
		ack();
	});
	const peer = await observe();
	const texts = ["odd", "acknowledged and odd", "next"];
	for (const text of texts) peer.publish(target.exchange, target.topic, Buffer.from(text));
	await expect.poll(() => taken.length).toBe(3);
	// Nothing of it comes again.
	await transport.publish({ kind: "topic", exchange: target.exchange, key: target.topic }, Buffer.from("next"), {
		timeout: 5_000,
	});
	await expect.poll(() => taken).toEqual([...texts, "next"]);
	const told = lines.filter((line) => !line.includes("connected to"));
	expect(told).toEqual(Array(2).fill(expect.stringMatching(/ ERROR .*rejecting a message .*TypeError/)));
	expect(told.join("")).not.toContain("odd");
});

describe("a channel that the broker closes", () => {
	test("row 15: of who publishes: the next message has a new one, and consumers notice nothing", async () => {
		const { transport } = open();
		const target = newTarget();
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.hold);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await transport.publish(to, Buffer.from("held"), { timeout: 5_000 });
		await inbox.at(0);
		const other = { kind: "topic", exchange: `x_${newId()}`, key: "k" } as const;
		const send = () => transport.publish(other, Buffer.from("x"), { timeout: 5_000 });
		expect(await send()).toBe("unroutable");
		await (await observe()).deleteExchange(other.exchange);
		await expect(send()).rejects.toThrow(MessageDeliveryFailure);
		expect(await duration(send)).toBeLessThan(CHANNEL_BACK);
		expect(await send()).toBe("unroutable");
		expect(inbox.texts).toEqual(["held"]);
	});

	test("for an exchange where the user may not publish: replies notice nothing, and the failure says why", async () => {
		const user = `u_${newId()}`;
		const url = await broker.addUser(user);
		await broker.ctl("set_permissions", user, ".*", "^(amq\\.default|reply_.*)$", ".*");
		const { transport, lines } = open(url);
		const peer = await observe();
		const exchange = `x_${newId()}`;
		await peer.assertExchange(exchange, "topic", { durable: false, autoDelete: false });
		const queue = `reply_${newId()}`;
		await peer.assertQueue(queue, { durable: false, autoDelete: false });
		const rounds = Array.from({ length: 10 }, async (_, round) => {
			await sleep(20 * round);
			const told = transport.publish({ kind: "topic", exchange, key: "k" }, Buffer.from("x"), { timeout: 5_000 });
			const replied = transport.publish({ kind: "reply", queue }, Buffer.from("x"), { timeout: 5_000 });
			return Promise.all([told.catch(String), replied]);
		});
		for (const [told, replied] of await Promise.all(rounds)) {
			expect(replied).toBe("routed");
			expect(told).toMatch(/ACCESS_REFUSED - access to exchange 'x_.*check the permissions of the user/);
		}
		expect(lines.filter((line) => line.includes(" WARNING ")).length).toBe(1);
	});

	test("for replies, where the user may send none: the broker counts as blocked until he may again", async () => {
		const user = `u_${newId()}`;
		const url = await broker.addUser(user);
		const mayWrite = (pattern: string) => broker.ctl("set_permissions", user, ".*", pattern, ".*");
		await mayWrite("^$");
		const { transport, lines } = open(url);
		const send = () => transport.publish(toNobody(), Buffer.from("x"), { timeout: 5_000 }).catch(String);
		const why = /ACCESS_REFUSED - access to exchange 'amq.default' .*check the permissions of the user/;
		expect(await send()).toMatch(why);
		expect(transport.state()).toMatchObject({ blocked: true });
		for (let again = 0; again < 50; again++) expect(await send()).toMatch(why);
		expect(lines.filter((line) => line.includes(" WARNING "))).toEqual([expect.stringMatching(why)]);
		await mayWrite(".*");
		await expect.poll(() => transport.state()).toMatchObject({ blocked: false });
		expect(await send()).toBe("unroutable");
	});

	test("row 15: of who consumes: all of its queues are consumed again, once", async () => {
		const { transport, lines } = open();
		const target = newTarget();
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.hold);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await transport.publish(to, Buffer.from("x"), { timeout: 5_000 });
		const delivery = await inbox.at(0);
		delivery.ack();
		await nextTurn();
		const elapsed = duration(() => inbox.at(1));
		// What is acknowledged cannot be given up any more.
		delivery.reject();
		await expect.poll(() => lines.join("")).toContain("unknown delivery tag");
		const peer = await observe();
		for (const queue of [target.topic, serverKey(target)]) {
			await expect
				.poll(async () => (await peer.checkQueue(queue)).consumerCount, { timeout: CHANNEL_BACK, interval: 20 })
				.toBe(1);
		}
		await transport.publish(to, Buffer.from("y"), { timeout: 5_000 });
		await elapsed;
		expect(inbox.texts).toEqual(["x", "y"]);
	});
});

describe("cancel", () => {
	test("P14: leaves no consumer behind, whatever frame of a reconnect it meets", async () => {
		const frames = Array.from({ length: 20 }, (_, index) => index + 1);
		await Promise.all(
			frames.map(async (frame) => {
				const target = newTarget();
				const met = gate();
				// The first two connections are cut; the third one consumes.
				const { port, cut } = await startProxy(broker.port, [], (connection, current) => {
					if (connection === 3 && current === frame) met.open();
				});
				const { transport } = open(urlOf(port));
				const consumer = await transport.listen(target, 64, (delivery) => delivery.ack());
				cut();
				await Promise.race([met.opened, sleep(4_000)]);
				await consumer.cancel();
				await expect.poll(() => transport.publish(toNobody(), Buffer.from("x"), { timeout: 5_000 })).toBe("unroutable");
				const peer = await observe();
				for (const queue of [target.topic, serverKey(target)]) {
					expect(await peer.checkQueue(queue)).toMatchObject({ consumerCount: 0 });
				}
			}),
		);
	});

	test("P14: leaves no fanout queue behind", async () => {
		const target = newTarget();
		const { transport } = open();
		const consumer = await transport.listen(target, 64, (delivery) => delivery.ack());
		const peer = await observe();
		await peer.checkExchange(fanoutExchange(target));
		await consumer.cancel();
		// The exchange goes with its last queue.
		await expect(peer.checkExchange(fanoutExchange(target))).rejects.toThrow("NOT_FOUND");
	});
});

describe("a broker that refuses", () => {
	/** what is wrong, the URL, what the log says */
	const REFUSALS: readonly (readonly [what: string, url: (port: number) => string, says: RegExp])[] = [
		["the password", (port) => `rabbit://guest:s3cr3t@127.0.0.1:${port}/`, /ACCESS[-_]REFUSED/],
		["the user", (port) => `rabbit://nobody:s3cr3t@127.0.0.1:${port}/`, /ACCESS[-_]REFUSED/],
		[
			"the virtual host",
			(port) => `rabbit://${GUEST}@127.0.0.1:${port}/s3cr3tless`,
			/NOT_ALLOWED - vhost s3cr3tless not found.*: check the virtual host in transport_url/,
		],
	];
	test.each(REFUSALS)("row 16: %s is wrong: the log says so, and shows no password", async (_what, url, says) => {
		const { transport, lines } = open(url(broker.port));
		await expect.poll(() => lines.join("")).toMatch(says);
		const to = { kind: "reply", queue: "reply_1" } as const;
		const failure = await transport.publish(to, Buffer.from("x"), { timeout: 100 }).catch(String);
		expect(failure).toContain("MessageDeliveryFailure");
		expect([...lines, failure].join("")).not.toMatch(/s3cr3t(?!less)/);
	});

	/** which limit of a virtual host, what the log says */
	const LIMITS = [
		["max-connections", / ERROR .* connection limit \(1\) is reached.*: raise it \(rabbitmqctl .*\); next attempt/],
		[
			"max-queues",
			/ ERROR .* \(PRECONDITION-FAILED\) .* queue limit .* is reached": raise it \(rabbitmqctl .*\); next attempt/,
		],
	] as const;
	test.each(LIMITS)("%s is reached: the log says so, and blames nothing else", async (limit, says) => {
		const vhost = newId();
		await broker.ctl("add_vhost", vhost);
		await broker.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*");
		await broker.ctl("set_vhost_limits", "-p", vhost, JSON.stringify({ [limit]: 1 }));
		const { transport, lines } = open(`${broker.url}${vhost}`);
		transport.listen(newTarget(), 1, () => undefined).catch(() => undefined);
		await vi.waitFor(() => expect(lines.join("")).toMatch(says), 30_000);
		expect(lines.join("")).not.toContain("amqp_durable_queues");
	});

	test("row 23: something else on the port is reported, not hammered", async () => {
		let attempts = 0;
		const web = createServer((socket) => {
			attempts++;
			socket.on("error", () => undefined).end("HTTP/1.1 400 Bad Request\r\n\r\n");
		}).listen(0, "127.0.0.1");
		onTestFinished(() => void web.close());
		await once(web, "listening");
		const address = web.address();
		if (address === null || typeof address === "string") throw new Error("no port");
		const { lines } = open(urlOf(address.port));
		const start = performance.now();
		await expect.poll(() => lines.length).toBeGreaterThanOrEqual(3);
		// Row 21: at most five attempts per second.
		expect(attempts - 1).toBeLessThanOrEqual((performance.now() - start) / 200 + 1);
	});

	test("the next host of the URL is tried", async () => {
		const { transport } = open(`rabbit://${GUEST}@127.0.0.1:1,${GUEST}@127.0.0.1:${broker.port}/`);
		const inbox = new Inbox();
		const queue = `reply_${newId()}`;
		await transport.listenForReplies(queue, inbox.ack);
		await transport.publish({ kind: "reply", queue }, Buffer.from("x"), { timeout: 5_000 });
		await inbox.at(0);
	});
});

describe("close", () => {
	test("before the first connection is up ends that too", async () => {
		const { transport } = open();
		const listening = transport.listen(newTarget(), 64, () => undefined);
		const refused = expect(listening).rejects.toThrow("closed");
		expect(await duration(() => transport.close())).toBeLessThan(ONE_CONNECT_ATTEMPT);
		await refused;
	});

	test("refuses whatever comes later", async () => {
		const { transport } = open();
		await transport.close();
		await expect(transport.listen(newTarget(), 64, () => undefined)).rejects.toThrow("closed");
		await expect(transport.listenForReplies("reply_1", () => undefined)).rejects.toThrow("closed");
		const published = transport.publish({ kind: "reply", queue: "reply_1" }, Buffer.from("x"), { timeout: 5_000 });
		await expect(published).rejects.toThrow(MessageDeliveryFailure);
	});

	test("fails what waits for a confirm or for a connection", async () => {
		const { transport } = open(urlOf(1));
		const published = transport.publish({ kind: "reply", queue: "reply_1" }, Buffer.from("x"), { timeout: 600_000 });
		const refused = expect(published).rejects.toThrow(MessageDeliveryFailure);
		await transport.close();
		await refused;
	});
});

// From here on the broker is hung or dies: what is above needs it.

describe("a broker that is short of memory", () => {
	test("row 9: it is logged, consumers go on, publishes keep their time, and all is well when it is over", async () => {
		const target = newTarget();
		const { transport, lines } = open();
		const inbox = new Inbox();
		await transport.listen(target, 64, inbox.ack);
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		const send = (text: string) => transport.publish(to, Buffer.from(text), { timeout: 300 });
		await broker.ctl("set_vm_memory_high_watermark", "absolute", "1");
		try {
			await expect(send("1")).rejects.toThrow(/^not confirmed by the broker in time; it may have the message$/);
			await expect.poll(() => lines.join("")).toMatch(/ WARNING .* takes no messages \(publish\): low on memory/);
			// A consumer can come and go.
			await (await transport.listenForReplies(transport.newReplyQueue(), inbox.ack)).cancel();
		} finally {
			await broker.ctl("set_vm_memory_high_watermark", "0.4");
		}
		await expect.poll(() => lines.join("")).toMatch(/ INFO .* takes messages again \(publish\)/);
		expect(await send("2")).toBe("routed");
		await expect.poll(() => inbox.texts).toContain("2");
		expect(lines.join("")).not.toContain("next attempt");
	});

	test("a call waits for as long as its caller has, as Python's does", async () => {
		const { target } = await serve(async () => "late");
		const client = new RpcClient(open().transport);
		expect(await answered(client, target)).toBe("late");
		await broker.ctl("set_vm_memory_high_watermark", "absolute", "1");
		let call: Promise<unknown>;
		try {
			call = client.call(target, "m", {}, { timeout: 60 });
			// Longer than a cast, whose sender nobody has told how long he has.
			await Promise.race([call.catch(() => undefined), sleep(12_000)]);
		} finally {
			await broker.ctl("set_vm_memory_high_watermark", "0.4");
		}
		expect(await call).toBe("late");
	});
});

describe("a hung broker", () => {
	test("row 4: is noticed, calls and publishes keep their own time, and all is back when it goes on", async () => {
		const { target, lines } = await serve(async () => "back");
		const client = open();
		const rpc = new RpcClient(client.transport);
		expect(await answered(rpc, target)).toBe("back");
		broker.pause();
		try {
			const passed = ownTime();
			const to = { kind: "topic", exchange: `x_${newId()}`, key: "k" } as const;
			const published = client.transport.publish(to, Buffer.from("x"), { timeout: 200 });
			await expect(published).rejects.toThrow(MessageDeliveryFailure);
			await expect(rpc.call(target, "m", {}, { timeout: 0.2 })).rejects.toThrow(MessagingTimeout);
			expect(passed()).toBeLessThan(2_000);
			await expect.poll(() => lines.join(""), { timeout: HUNG_BROKER_NOTICED }).toContain("Heartbeat timeout");
		} finally {
			broker.resume();
		}
		expect(await duration(() => answered(rpc, target))).toBeLessThan(BACK_AFTER_PORT_OPENS);
		const peer = await observe();
		for (const queue of [target.topic, serverKey(target)]) {
			await expect.poll(async () => (await peer.checkQueue(queue)).consumerCount).toBe(1);
		}
	}, 60_000);

	test("P28: heartbeats for a caller go on when it goes on, as in Python", async () => {
		const slow = gate();
		const { target, transport } = await serve(() => slow.opened);
		const queue = `reply_${newId()}`;
		const beats = new Inbox();
		await transport.listenForReplies(queue, beats.ack);
		const request = JSON.stringify({ method: "m", _msg_id: "1", _reply_q: queue, _timeout: 2 });
		const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
		await transport.publish(to, Buffer.from(request), { timeout: 5_000, expiration: 60_000 });
		await beats.at(0);
		broker.pause();
		// Longer than a heartbeat waits to be confirmed, and shorter than a hung broker goes unnoticed.
		await sleep(4_500).finally(() => broker.resume());
		// The one that was on its way, and those after it.
		await beats.at(2);
		slow.open("done");
		await expect.poll(() => beats.deliveries.at(-1)?.body.toString()).toContain("done");
	});

	test("cancel ends quickly, and leaves no consumer when the broker goes on", async () => {
		const target = newTarget();
		const { transport } = open();
		const consumer = await transport.listen(target, 64, (delivery) => delivery.ack());
		broker.pause();
		try {
			expect(await duration(() => consumer.cancel())).toBeLessThan(CANCELLED);
		} finally {
			broker.resume();
		}
		const peer = await observe();
		for (const queue of [target.topic, serverKey(target)]) {
			await expect.poll(async () => (await peer.checkQueue(queue)).consumerCount).toBe(0);
		}
	});

	test("close ends quickly, connected or connecting", async () => {
		const connected = open();
		await connected.transport.listen(newTarget(), 64, () => undefined);
		broker.pause();
		try {
			expect(await duration(() => connected.transport.close())).toBeLessThan(1_000);
			const connecting = open();
			expect(await duration(() => connecting.transport.close())).toBeLessThan(ONE_CONNECT_ATTEMPT);
		} finally {
			broker.resume();
		}
	});

	test("row 5: one attempt to connect to it ends in time", async () => {
		broker.pause();
		try {
			const { lines } = open();
			const passed = ownTime();
			await expect.poll(() => lines.length, { interval: 20 }).toBeGreaterThan(0);
			expect(passed()).toBeLessThan(ONE_CONNECT_ATTEMPT);
		} finally {
			broker.resume();
		}
	});
});

describe("a broker that dies", () => {
	test("a call that is made without it says that it was not sent", async () => {
		const { target } = await serve(async () => "back");
		const { transport } = open();
		const client = new RpcClient(transport);
		expect(await answered(client, target)).toBe("back");
		await broker.kill();
		try {
			await expect.poll(() => transport.state().connected).toBe(undefined);
			await expect(client.call(target, "m", {}, { timeout: 0.3 })).rejects.toMatchObject({
				message: expect.stringMatching(/ was not sent: no connection in 0\.3 s$/),
				sent: false,
			});
		} finally {
			await broker.start();
		}
	}, 60_000);

	test("row 1, P14: kill -9 and restart: serving again, same names, one consumer per queue", async () => {
		const target = newTarget();
		const { lines } = await serve(async () => "back", target);
		const fanouts = new Inbox();
		const beside = open();
		await beside.transport.listen({ ...target, server: "host-b" }, 64, fanouts.ack);
		const client = new RpcClient(open().transport);
		expect(await answered(client, { ...target, server: "host-a" })).toBe("back");

		await broker.kill();
		const absent = open();
		const passed = ownTime();
		const queue = `reply_${newId()}`;
		const published = absent.transport.publish({ kind: "reply", queue }, Buffer.from("x"), { timeout: 200 });
		await expect(published).rejects.toThrow(/^no connection to RabbitMQ$/);
		const call = new RpcClient(absent.transport).call(target, "m", {}, { timeout: 0.2 });
		await expect(call).rejects.toThrow(MessagingTimeout);
		expect(passed()).toBeLessThan(2_000);

		await broker.start();
		expect(await duration(() => answered(client, { ...target, server: "host-a" }))).toBeLessThan(BACK_AFTER_PORT_OPENS);
		const peer = await observe();
		const consumers = async (name: string) => (await peer.checkQueue(name)).consumerCount;
		await expect.poll(() => consumers(target.topic), { timeout: BACK_AFTER_PORT_OPENS }).toBe(2);
		for (const server of ["host-a", "host-b"]) expect(await consumers(serverKey({ ...target, server }))).toBe(1);
		await beside.transport.publish({ kind: "fanout", exchange: fanoutExchange(target) }, Buffer.from("{}"), {
			timeout: 5_000,
		});
		expect((await fanouts.at(0)).body.toString()).toBe("{}");
		expect(lines.filter((line) => line.includes(" WARNING ") && !line.includes("ECONNREFUSED")).length).toBeGreaterThan(
			0,
		);
	}, 60_000);
});
