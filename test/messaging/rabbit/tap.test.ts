import { readFileSync } from "node:fs";
import amqp, { type Channel } from "amqplib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { addTapUser, TAP_PERMISSIONS } from "../../support/tap-user.ts";
import { Inbox } from "../inbox.ts";

const BACK_AFTER_PORT_OPENS = 5_000;
const TAP = { exchange: "nova", keys: ["compute.#", "compute-alt.#"], queuePrefix: "novacompat.tap.cell1" };

let broker: TestBroker;
let url: string;
beforeAll(async () => {
	broker = await startRabbitMq();
	url = await addTapUser(broker);
});
afterAll(() => broker?.stop());

/** Somebody else on the bus; by default one who may do everything. */
async function peer(as = broker.url): Promise<Channel> {
	const connection = await amqp.connect(as.replace("rabbit:", "amqp:"));
	connection.on("error", () => undefined);
	onTestFinished(() => connection.close().catch(() => undefined));
	const channel = await connection.createChannel();
	channel.on("error", () => undefined);
	return channel;
}

/** A tap of the user that may do no more than that. */
function tap(prefetch = 64, inbox = new Inbox()) {
	const { log, lines } = recordingLog();
	const options = RabbitOptions.parse({});
	const transport = new RabbitTransport({ url: parseTransportUrl(url), options, connectionName: "tap", log });
	onTestFinished(() => transport.close());
	const resumed = vi.fn();
	const consumer = transport.tap({ ...TAP, prefetch }, prefetch > 1 ? inbox.ack : inbox.hold, resumed);
	return { transport, inbox, lines, resumed, consumer };
}

async function declareNova(): Promise<Channel> {
	const nova = await peer();
	await nova.assertExchange("nova", "topic", { durable: false });
	return nova;
}

async function tapQueues(): Promise<readonly string[][]> {
	const listed = await broker.ctl("list_queues", "--no-table-headers", "name", "messages_ready", "exclusive");
	return listed
		.split("\n")
		.map((line) => line.split("\t"))
		.filter(([name]) => name?.startsWith(TAP.queuePrefix));
}

describe("a tap, with the permissions of its minimal user", () => {
	test("waits for the exchange, which it does not declare", { timeout: 30_000 }, async () => {
		const { lines, consumer } = tap();
		await expect.poll(() => lines.join("")).toContain("nobody has declared it yet");
		expect(lines.join("")).toContain("WARNING");
		// Durable, unlike what the options of this side say.
		const nova = await peer();
		await nova.assertExchange("nova", "topic", { durable: true });
		await consumer;
		await nova.deleteExchange("nova");
	});

	test("gets copies of what goes to compute nodes; whom it is for gets it too", async () => {
		const nova = await declareNova();
		const queue = "compute.cmp-01.example.org";
		await nova.assertQueue(queue, { durable: false });
		await nova.bindQueue(queue, "nova", queue);
		const { inbox, consumer } = tap();
		await consumer;
		for (const key of [queue, "scheduler", "conductor", "compute-alt.cmp-01", "compute.cmp-02"]) {
			nova.publish("nova", key, Buffer.from(key));
		}
		await inbox.at(2);
		expect(inbox.deliveries.map(({ routingKey, body }) => [routingKey, body.toString()])).toEqual(
			[queue, "compute-alt.cmp-01", "compute.cmp-02"].map((key) => [key, key]),
		);
		expect(await nova.get(queue, { noAck: true })).toMatchObject({ content: Buffer.from(queue) });
		await nova.deleteQueue(queue);
	});

	test("that hangs costs the broker a thousand messages at most, the youngest; its queue goes with it", async () => {
		const nova = await declareNova();
		const { inbox, transport, consumer } = tap(1);
		await consumer;
		for (let number = 0; number < 1_500; number++) nova.publish("nova", "compute.cmp-01", Buffer.from(`${number}`));
		await expect.poll(tapQueues).toEqual([[expect.any(String), "1000", "true"]]);
		(await inbox.at(0)).ack();
		expect((await inbox.at(1)).body.toString()).toBe("500");
		await transport.close();
		await expect.poll(tapQueues).toEqual([]);
	});

	test("says when it was cut off, and is back after the broker is", { timeout: 60_000 }, async () => {
		await declareNova();
		const { inbox, resumed, consumer } = tap();
		await consumer;
		await broker.kill();
		await broker.start();
		const nova = await declareNova();
		await expect.poll(() => resumed.mock.calls.length, { timeout: BACK_AFTER_PORT_OPENS }).toBe(1);
		nova.publish("nova", "compute.cmp-01", Buffer.from("again"));
		expect((await inbox.at(0)).body.toString()).toBe("again");
	});

	/** What he may not do. */
	const FORBIDDEN: readonly (readonly [what: string, attempt: (channel: Channel) => Promise<unknown>])[] = [
		["declare Nova's exchange", (channel) => channel.assertExchange("nova2", "topic", { durable: false })],
		["declare a queue of Nova's", (channel) => channel.assertQueue("compute.cmp-02", { durable: false })],
		["consume from a queue of Nova's", (channel) => channel.consume("compute.cmp-01", () => undefined)],
		["delete one", (channel) => channel.deleteQueue("compute.cmp-01")],
		["take its messages away", (channel) => channel.purgeQueue("compute.cmp-01")],
	];
	test.each(FORBIDDEN)("must not: %s", async (_what, attempt) => {
		const nova = await declareNova();
		await nova.assertQueue("compute.cmp-01", { durable: false });
		await expect(attempt(await peer(url))).rejects.toThrow("ACCESS_REFUSED");
	});

	test("config/README.md has these permissions", () => {
		const text = readFileSync(`${import.meta.dirname}/../../../config/README.md`, "utf8");
		expect(text).toContain(TAP_PERMISSIONS.map((pattern) => `'${pattern}'`).join(" "));
	});

	test.each(["nova", ""])("must not: publish to the exchange %j", async (exchange) => {
		await declareNova();
		const channel = await peer(url);
		const closed = new Promise((resolve) => channel.on("error", resolve));
		channel.publish(exchange, "compute.cmp-01", Buffer.from("{}"));
		expect(String(await closed)).toContain("ACCESS_REFUSED");
	});
});
