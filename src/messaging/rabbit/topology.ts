import { newId } from "../message.ts";
import { fanoutExchange, type ServerTarget, serverKey } from "../target.ts";
import type { Destination } from "../transport.ts";
import type { RabbitOptions } from "./options.ts";

type Arguments = Readonly<Record<string, string | number | boolean>>;

export interface Exchange {
	readonly kind: "exchange";
	readonly name: string;
	readonly type: "topic" | "fanout";
	readonly durable: boolean;
	readonly autoDelete: boolean;
}

export interface Queue {
	readonly kind: "queue";
	readonly name: string;
	readonly durable: boolean;
	readonly autoDelete: boolean;
	readonly arguments: Arguments;
	/** Nobody else consumes it, and its name does not come again. */
	readonly deletedAtStop: boolean;
	/** Goes with its connection, and nobody else may use it; RPC queues never are. */
	readonly exclusive?: true;
}

/** An exchange that somebody else declares, and that has to be there. */
interface ExistingExchange {
	readonly kind: "existing exchange";
	readonly name: string;
}

interface Binding {
	readonly kind: "binding";
	readonly queue: string;
	readonly exchange: string;
	readonly key: string;
}

export interface Consume {
	readonly kind: "consume";
	readonly queue: string;
	readonly tag: string;
	readonly arguments: Arguments;
}

/** One thing that a broker is told, in an order that counts. */
export type Declaration = Exchange | ExistingExchange | Queue | Binding | Consume;

/** What an RPC server declares: names, arguments and order are Python's (oslo_messaging/_drivers/impl_rabbit.py). */
export function serverTopology(
	target: ServerTarget,
	fanoutQueue: string,
	options: RabbitOptions,
): readonly Declaration[] {
	const { exchange, topic } = target;
	const fanout = fanoutExchange(target);
	const keys = [topic, serverKey(target)];
	return [
		...keys.flatMap((key): Declaration[] => [
			topicExchange(exchange, options),
			topicQueue(key, options),
			{ kind: "binding", queue: key, exchange, key },
		]),
		fanoutExchangeNamed(fanout, options),
		options.rabbit_stream_fanout ? streamQueue(fanoutQueue, options) : transientQueue(fanoutQueue, options, true),
		{ kind: "binding", queue: fanoutQueue, exchange: fanout, key: topic },
		...keys.map((key, index) => consume(key, index + 1, options)),
		options.rabbit_stream_fanout
			? { kind: "consume", queue: fanoutQueue, tag: "3", arguments: { "x-stream-offset": "last" } }
			: consume(fanoutQueue, 3, options),
	];
}

/** A reply queue is reached through the default exchange, and bound to nothing. */
export function replyTopology(queue: string, options: RabbitOptions): readonly Declaration[] {
	return [transientQueue(queue, options, false), consume(queue, 1, options)];
}

/** The exchange that has to be there for a message; the default one always is. */
export function exchangeFor(to: Destination, options: RabbitOptions): Exchange | undefined {
	if (to.kind === "reply") return undefined;
	return to.kind === "fanout" ? fanoutExchangeNamed(to.exchange, options) : topicExchange(to.exchange, options);
}

/** A stream is one for all servers of the topic; of other queues each server has its own. */
export function fanoutQueueName(target: ServerTarget, options: RabbitOptions): string {
	const exchange = fanoutExchange(target);
	return options.rabbit_stream_fanout ? exchange : `${exchange}_${ownName(options)}`;
}

export function replyQueueName(options: RabbitOptions): string {
	return `reply_${ownName(options)}`;
}

let names = 0;

/** With the queue manager the names of a process are those that it had before its restart (amqpdriver.py, QManager). */
function ownName({ use_queue_manager, hostname, processname }: RabbitOptions): string {
	return use_queue_manager ? `${hostname}:${processname}:${++names}` : newId();
}

function topicExchange(name: string, options: RabbitOptions): Exchange {
	return {
		kind: "exchange",
		name,
		type: "topic",
		durable: durableTopic(options),
		autoDelete: options.amqp_auto_delete,
	};
}

function fanoutExchangeNamed(name: string, options: RabbitOptions): Exchange {
	const durable = options.rabbit_transient_quorum_queue || options.rabbit_stream_fanout;
	return { kind: "exchange", name, type: "fanout", durable, autoDelete: true };
}

function topicQueue(name: string, options: RabbitOptions): Queue {
	return {
		kind: "queue",
		name,
		durable: durableTopic(options),
		autoDelete: options.amqp_auto_delete,
		arguments: queueArguments(options.rabbit_quorum_queue, 0, options),
		deletedAtStop: false,
	};
}

function transientQueue(name: string, options: RabbitOptions, fanout: boolean): Queue {
	const { rabbit_transient_quorum_queue: quorum, rabbit_transient_queues_ttl: ttl } = options;
	return {
		kind: "queue",
		name,
		durable: quorum,
		autoDelete: false,
		arguments: queueArguments(quorum, ttl, options),
		deletedAtStop: fanout && !options.use_queue_manager,
	};
}

function streamQueue(name: string, { rabbit_transient_queues_ttl: ttl }: RabbitOptions): Queue {
	const maxAge = ttl > 0 ? { "x-max-age": `${ttl}s` } : {};
	return {
		kind: "queue",
		name,
		durable: true,
		autoDelete: false,
		arguments: { "x-queue-type": "stream", ...maxAge },
		deletedAtStop: false,
	};
}

/** The order is Python's (impl_rabbit.py, `_get_queue_arguments`); 0 is left out. */
function queueArguments(quorum: boolean, ttl: number, options: RabbitOptions): Arguments {
	const limits = {
		"x-delivery-limit": options.rabbit_quorum_delivery_limit,
		"x-max-in-memory-length": options.rabbit_quorum_max_memory_length,
		"x-max-in-memory-bytes": options.rabbit_quorum_max_memory_bytes,
	};
	return {
		...(options.rabbit_ha_queues && { "x-ha-policy": "all" }),
		...(quorum && { "x-queue-type": "quorum" }),
		...(quorum && Object.fromEntries(Object.entries(limits).filter(([, limit]) => limit !== 0))),
		...(ttl > 0 && { "x-expires": ttl * 1000 }),
	};
}

function consume(queue: string, tag: number, { enable_cancel_on_failover }: RabbitOptions): Consume {
	const args = enable_cancel_on_failover ? { "x-cancel-on-ha-failover": true } : {};
	return { kind: "consume", queue, tag: String(tag), arguments: args };
}

function durableTopic({ amqp_durable_queues, rabbit_quorum_queue }: RabbitOptions): boolean {
	return amqp_durable_queues || rabbit_quorum_queue;
}
