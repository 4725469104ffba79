import { describe, expect, test } from "vitest";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import {
	type Declaration,
	exchangeFor,
	fanoutQueueName,
	replyQueueName,
	replyTopology,
	serverTopology,
} from "../../../src/messaging/rabbit/topology.ts";

const TARGET = { exchange: "nova", topic: "compute", server: "host-a" };
const QUORUM = { "x-queue-type": "quorum" };
const EXPIRES = { "x-expires": 1_800_000 };
const HA = { "x-ha-policy": "all" };

/** D: durable, AD: auto-delete; what is left out is as with default options. */
interface Row {
	readonly options: Readonly<Record<string, unknown>>;
	readonly topicExchange?: "D" | "AD";
	readonly topicQueues?: readonly ["D" | "AD" | "", Readonly<Record<string, unknown>>];
	readonly fanoutExchange?: "D AD";
	readonly fanoutQueue?: readonly ["D" | "", Readonly<Record<string, unknown>>];
	readonly replyQueue?: readonly ["D" | "", Readonly<Record<string, unknown>>];
}

/** oslo-messaging.md 2.3, row by row. */
const MATRIX: readonly Row[] = [
	{ options: {} },
	{ options: { amqp_durable_queues: true }, topicExchange: "D", topicQueues: ["D", {}] },
	{ options: { amqp_auto_delete: true }, topicExchange: "AD", topicQueues: ["AD", {}] },
	{ options: { rabbit_quorum_queue: true }, topicExchange: "D", topicQueues: ["D", QUORUM] },
	{
		options: { rabbit_quorum_queue: true, rabbit_quorum_delivery_limit: 7 },
		topicExchange: "D",
		topicQueues: ["D", { ...QUORUM, "x-delivery-limit": 7 }],
	},
	{
		options: {
			rabbit_quorum_queue: true,
			rabbit_quorum_max_memory_length: 8,
			rabbit_quorum_max_memory_bytes: 9_000,
		},
		topicExchange: "D",
		topicQueues: ["D", { ...QUORUM, "x-max-in-memory-length": 8, "x-max-in-memory-bytes": 9_000 }],
	},
	{
		options: { rabbit_transient_quorum_queue: true },
		fanoutExchange: "D AD",
		fanoutQueue: ["D", { ...QUORUM, ...EXPIRES }],
		replyQueue: ["D", { ...QUORUM, ...EXPIRES }],
	},
	{
		options: { rabbit_quorum_queue: true, rabbit_transient_quorum_queue: true, rabbit_quorum_delivery_limit: 7 },
		topicExchange: "D",
		topicQueues: ["D", { ...QUORUM, "x-delivery-limit": 7 }],
		fanoutExchange: "D AD",
		fanoutQueue: ["D", { ...QUORUM, "x-delivery-limit": 7, ...EXPIRES }],
		replyQueue: ["D", { ...QUORUM, "x-delivery-limit": 7, ...EXPIRES }],
	},
	{
		options: { rabbit_transient_quorum_queue: true, rabbit_stream_fanout: true },
		fanoutExchange: "D AD",
		fanoutQueue: ["D", { "x-queue-type": "stream", "x-max-age": "1800s" }],
		replyQueue: ["D", { ...QUORUM, ...EXPIRES }],
	},
	{
		options: { rabbit_transient_quorum_queue: true, rabbit_stream_fanout: true, rabbit_transient_queues_ttl: 0 },
		fanoutExchange: "D AD",
		fanoutQueue: ["D", { "x-queue-type": "stream" }],
		replyQueue: ["D", QUORUM],
	},
	{
		options: { rabbit_ha_queues: true },
		topicQueues: ["", HA],
		fanoutQueue: ["", { ...HA, ...EXPIRES }],
		replyQueue: ["", { ...HA, ...EXPIRES }],
	},
	{ options: { rabbit_transient_queues_ttl: 0 }, fanoutQueue: ["", {}], replyQueue: ["", {}] },
	{
		options: { rabbit_transient_queues_ttl: 60 },
		fanoutQueue: ["", { "x-expires": 60_000 }],
		replyQueue: ["", { "x-expires": 60_000 }],
	},
];

function flags(text: string) {
	return { durable: text.startsWith("D"), autoDelete: text.endsWith("AD") };
}

function exchanges(declarations: readonly Declaration[]) {
	return declarations.filter(({ kind }) => kind === "exchange");
}

function queues(declarations: readonly Declaration[]) {
	return declarations.filter(({ kind }) => kind === "queue");
}

describe("P16: what is declared", () => {
	test.each(MATRIX)("with $options", (row) => {
		const options = RabbitOptions.parse(row.options);
		const server = serverTopology(TARGET, "compute_fanout_1", options);
		const topicExchange = { kind: "exchange", name: "nova", type: "topic", ...flags(row.topicExchange ?? "") };
		const fanoutExchange = {
			kind: "exchange",
			name: "compute_fanout",
			type: "fanout",
			...flags(row.fanoutExchange ?? "AD"),
		};
		expect(exchanges(server)).toEqual([topicExchange, topicExchange, fanoutExchange]);
		const [topicFlags, topicArguments] = row.topicQueues ?? ["", {}];
		const [fanoutFlags, fanoutArguments] = row.fanoutQueue ?? ["", EXPIRES];
		expect(queues(server)).toMatchObject([
			{ name: "compute", ...flags(topicFlags), arguments: topicArguments },
			{ name: "compute.host-a", ...flags(topicFlags), arguments: topicArguments },
			{ name: "compute_fanout_1", ...flags(fanoutFlags), arguments: fanoutArguments },
		]);
		const [replyFlags, replyArguments] = row.replyQueue ?? ["", EXPIRES];
		const reply = replyTopology("reply_1", options);
		expect(queues(reply)).toMatchObject([{ name: "reply_1", ...flags(replyFlags), arguments: replyArguments }]);
		// P12: a reply queue is bound to nothing.
		expect(reply.map(({ kind }) => kind)).toEqual(["queue", "consume"]);
		// P18: who publishes declares what who listens declares.
		const [topic, fanout] = [
			{ kind: "topic", exchange: "nova", key: "compute" },
			{ kind: "fanout", exchange: "compute_fanout" },
		] as const;
		expect(exchangeFor(topic, options)).toEqual(topicExchange);
		expect(exchangeFor(fanout, options)).toEqual(fanoutExchange);
		expect(exchangeFor({ kind: "reply", queue: "reply_1" }, options)).toBeUndefined();
	});

	test("with a rabbit_quorum_delivery_limit below 0, which is none in RabbitMQ 4: as it is", () => {
		const options = RabbitOptions.parse({ rabbit_quorum_queue: true, rabbit_quorum_delivery_limit: -1 });
		const [topic] = queues(serverTopology(TARGET, "compute_fanout_1", options));
		expect(topic).toMatchObject({ arguments: { ...QUORUM, "x-delivery-limit": -1 } });
	});

	test("in the order of Python, with its routing keys and consumer tags", () => {
		const steps = serverTopology(TARGET, "compute_fanout_1", RabbitOptions.parse({})).map((step) => {
			if (step.kind === "binding") return `${step.queue} -> ${step.exchange}: ${step.key}`;
			return step.kind === "consume" ? `${step.tag}: ${step.queue}` : step.name;
		});
		expect(steps).toEqual([
			"nova",
			"compute",
			"compute -> nova: compute",
			"nova",
			"compute.host-a",
			"compute.host-a -> nova: compute.host-a",
			"compute_fanout",
			"compute_fanout_1",
			"compute_fanout_1 -> compute_fanout: compute",
			"1: compute",
			"2: compute.host-a",
			"3: compute_fanout_1",
		]);
	});

	const CANCEL = { "x-cancel-on-ha-failover": true };
	const LAST = { "x-stream-offset": "last" };
	/** options, arguments of the three consumers */
	const CONSUMERS: readonly (readonly [Record<string, unknown>, readonly object[]])[] = [
		[{}, [{}, {}, {}]],
		[{ enable_cancel_on_failover: true }, [CANCEL, CANCEL, CANCEL]],
		[{ rabbit_stream_fanout: true }, [{}, {}, LAST]],
		[{ rabbit_stream_fanout: true, enable_cancel_on_failover: true }, [CANCEL, CANCEL, LAST]],
	];
	test.each(CONSUMERS)("consumers with %j", (options, expected) => {
		const steps = serverTopology(TARGET, "q", RabbitOptions.parse(options));
		expect(steps.flatMap((step) => (step.kind === "consume" ? [step.arguments] : []))).toEqual(expected);
	});
});

describe("names", () => {
	const MANAGED = { use_queue_manager: true, hostname: "h", processname: "p" };
	/** options, name of the fanout queue, whether it is deleted at stop */
	const FANOUTS: readonly (readonly [Record<string, unknown>, RegExp, boolean])[] = [
		[{}, /^compute_fanout_[0-9a-f]{32}$/, true],
		[{ rabbit_transient_quorum_queue: true }, /^compute_fanout_[0-9a-f]{32}$/, true],
		[MANAGED, /^compute_fanout_h:p:\d+$/, false],
		[{ rabbit_stream_fanout: true }, /^compute_fanout$/, false],
		[{ rabbit_stream_fanout: true, ...MANAGED }, /^compute_fanout$/, false],
	];
	test.each(FANOUTS)("of the fanout queue with %j: %s, deleted at stop: %s", (given, name, deleted) => {
		const options = RabbitOptions.parse(given);
		const fanoutQueue = fanoutQueueName(TARGET, options);
		expect(fanoutQueue).toMatch(name);
		const declared = queues(serverTopology(TARGET, fanoutQueue, options));
		expect(declared.map((queue) => queue.kind === "queue" && queue.deletedAtStop)).toEqual([false, false, deleted]);
	});

	test("of a reply queue: random, or counted up in the process; it is left to expire", () => {
		expect(replyQueueName(RabbitOptions.parse({}))).toMatch(/^reply_[0-9a-f]{32}$/);
		const managed = RabbitOptions.parse(MANAGED);
		const [first, second] = [replyQueueName(managed), fanoutQueueName(TARGET, managed)].map((name) =>
			Number(name.split(":")[2]),
		);
		expect(second).toBe(Number(first) + 1);
		expect(replyTopology("reply_h:p:1", managed)).toMatchObject([{ deletedAtStop: false }, {}]);
	});
});
