import { setTimeout as sleep } from "node:timers/promises";
import amqp, { type Channel, type ChannelModel, type ConfirmChannel } from "amqplib";
import { MessageDeliveryFailure } from "./errors.ts";
import type { Log } from "./log.ts";
import { newId } from "./message.ts";
import type { RabbitOptions } from "./rabbit-options.ts";
import { fanoutExchange, type ServerTarget, serverKey } from "./target.ts";
import type { Consumer, Delivery, Destination, PublishOptions, Transport } from "./transport.ts";
import type { TransportHost, TransportUrl } from "./transport-url.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const SETUP_TIMEOUT_MS = 10_000;
const BACKOFF_MS = { first: 200, longest: 5_000 };
/** `x-expires` of reply and fanout queues: oslo's rabbit_transient_queues_ttl. */
const TRANSIENT_QUEUE_TTL_MS = 1_800_000;

/** Declares and consumes; run again on every new connection, with the same names. */
type Setup = (channel: Channel) => Promise<void>;

export interface RabbitTransportOptions {
	readonly url: TransportUrl;
	readonly options: RabbitOptions;
	/** What operators see in the list of connections, before the process id and the role. */
	readonly connectionName: string;
	readonly log: Log;
}

interface Queues {
	readonly prefetch: number;
	readonly queues: readonly string[];
	/** Left alone it would collect messages until it expires. */
	readonly deleteAtCancel?: string;
}

interface Subscription {
	readonly setup: Setup;
	readonly established: () => void;
	channel?: Channel;
}

/** One pair of connections to one broker, from set-up to loss. */
interface Session {
	readonly consume: ChannelModel;
	readonly publish: ChannelModel;
	readonly publisher: ConfirmChannel;
	/** Topic exchanges declared on this session. */
	readonly exchanges: Map<string, Promise<unknown>>;
	/** `message_id` of what the broker could not route, between `basic.return` and its confirm. */
	readonly returned: Set<string>;
	/** Resolves with the reason when a connection, a channel or a consumer is gone. */
	readonly lost: Promise<string>;
	readonly lose: (why: string) => void;
}

/**
 * RabbitMQ as oslo.messaging uses it (oslo_messaging/_drivers/impl_rabbit.py), with default options: names, arguments and
 * order of declarations are Python's. Consuming and publishing have a connection each, so that back-pressure on
 * publishing does not stop consuming.
 */
export class RabbitTransport implements Transport {
	readonly #url: TransportUrl;
	readonly #options: RabbitOptions;
	readonly #connectionName: string;
	readonly #log: Log;
	readonly #subscriptions = new Set<Subscription>();
	readonly #closing = new AbortController();
	#session: Session | undefined;
	/** Wakes those who wait for a session. */
	#waiting: (() => void)[] = [];
	readonly #supervised: Promise<void>;

	constructor({ url, options, connectionName, log }: RabbitTransportOptions) {
		this.#url = url;
		this.#options = options;
		this.#connectionName = connectionName;
		this.#log = log;
		this.#supervised = this.#supervise();
	}

	async listen(target: ServerTarget, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		const { exchange, topic } = target;
		const fanoutQueue = `${fanoutExchange(target)}_${newId()}`;
		const queues = [topic, serverKey(target), fanoutQueue];
		return this.#subscribe({ prefetch, queues, deleteAtCancel: fanoutQueue }, onDelivery, async (channel) => {
			for (const queue of [topic, serverKey(target)]) {
				await channel.assertExchange(exchange, "topic", { durable: false, autoDelete: false });
				await channel.assertQueue(queue, { durable: false, exclusive: false, autoDelete: false });
				await channel.bindQueue(queue, exchange, queue);
			}
			await channel.assertExchange(fanoutExchange(target), "fanout", { durable: false, autoDelete: true });
			await assertTransientQueue(channel, fanoutQueue);
			await channel.bindQueue(fanoutQueue, fanoutExchange(target), topic);
		});
	}

	newReplyQueue(): string {
		return `reply_${newId()}`;
	}

	async listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		const declare = (channel: Channel) => assertTransientQueue(channel, queue);
		return this.#subscribe({ prefetch: 0, queues: [queue] }, onDelivery, declare);
	}

	async publish(
		to: Destination,
		body: Buffer,
		{ expiration, timeout }: PublishOptions,
	): Promise<"routed" | "unroutable"> {
		const deadline = new AbortController();
		const timer = setTimeout(() => deadline.abort(), timeout);
		try {
			return await this.#send(await this.#ready(deadline.signal), to, body, expiration, deadline.signal);
		} finally {
			clearTimeout(timer);
		}
	}

	#send(
		session: Session,
		to: Destination,
		body: Buffer,
		expiration: number | undefined,
		deadline: AbortSignal,
	): Promise<"routed" | "unroutable"> {
		const [exchange, key] = addressOf(to);
		const messageId = newId();
		return new Promise((resolve, reject) => {
			const fail = (why: string) => reject(new MessageDeliveryFailure(`not confirmed by the broker: ${why}`));
			deadline.addEventListener("abort", () => fail("no answer in time"), { once: true });
			const options = {
				contentType: "application/json",
				contentEncoding: "utf-8",
				headers: {},
				deliveryMode: 2,
				priority: 0,
				messageId,
				mandatory: true,
				...(expiration !== undefined && { expiration: String(Math.trunc(expiration)) }),
			};
			declareExchange(session, to)
				.then(() =>
					session.publisher.publish(exchange, key, body, options, (error: unknown) => {
						// RabbitMQ confirms what it could not route too; the return comes before the confirm.
						if (error) fail(messageOf(error));
						else resolve(session.returned.delete(messageId) ? "unroutable" : "routed");
					}),
				)
				.catch((error: unknown) => fail(messageOf(error)));
		});
	}

	async close(): Promise<void> {
		this.#closing.abort();
		for (const wake of this.#waiting.splice(0)) wake();
		this.#session?.lose("closing");
		await this.#supervised;
	}

	async #subscribe(
		{ prefetch, queues, deleteAtCancel }: Queues,
		onDelivery: (delivery: Delivery) => void,
		declare: (channel: Channel) => Promise<unknown>,
	): Promise<Consumer> {
		const tags = queues.map((_queue, index) => String(index + 1));
		const setup: Setup = async (channel) => {
			if (prefetch > 0) await channel.prefetch(prefetch);
			await declare(channel);
			for (const [index, queue] of queues.entries()) {
				const consumerTag = tags[index] ?? "";
				await channel.consume(queue, (message) => message && onDelivery(deliveryOf(channel, message)), { consumerTag });
			}
		};
		const established = new Promise<void>((resolve, reject) => {
			const closed = () => reject(new Error("the transport is closed"));
			if (this.#closing.signal.aborted) return closed();
			this.#closing.signal.addEventListener("abort", closed, { once: true });
			const subscription: Subscription = { setup, established: resolve };
			this.#subscriptions.add(subscription);
			const session = this.#session;
			if (session) establish(session, subscription).catch((error: unknown) => session.lose(messageOf(error)));
		});
		await established;
		return {
			cancel: async () => {
				for (const subscription of this.#subscriptions) {
					if (subscription.setup !== setup) continue;
					this.#subscriptions.delete(subscription);
					const { channel } = subscription;
					const cancelled = tags.map((tag): Promise<unknown> | undefined => channel?.cancel(tag));
					if (deleteAtCancel !== undefined) cancelled.push(channel?.deleteQueue(deleteAtCancel));
					// A connection that is gone takes its consumers with it.
					await Promise.all(cancelled).catch(() => undefined);
				}
			},
		};
	}

	/** The one loop: next host, set up, wait until something is lost, back off. */
	async #supervise(): Promise<void> {
		const { hosts } = this.#url;
		for (let attempt = 0, next = 0; !this.#closing.signal.aborted; next++) {
			const host = hosts[next % hosts.length];
			if (host === undefined) return;
			const name = `rabbit ${host.hostname}:${host.port}`;
			let why: string;
			try {
				const session = await this.#open(host);
				attempt = 0;
				this.#log.info(`connected to ${name}`);
				this.#session = session;
				if (this.#closing.signal.aborted) session.lose("closing");
				for (const wake of this.#waiting.splice(0)) wake();
				why = await session.lost;
				this.#session = undefined;
				discard(session.consume);
				discard(session.publish);
			} catch (error) {
				why = messageOf(error);
			}
			if (this.#closing.signal.aborted) return;
			const delay = BACKOFF_MS.first + Math.random() * Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** attempt++);
			this.#log.warning(`${name}: ${why}; next attempt in ${(delay / 1000).toFixed(1)} s`);
			await sleep(delay, undefined, { signal: this.#closing.signal }).catch(() => undefined);
		}
	}

	async #open(host: TransportHost): Promise<Session> {
		const connections: ChannelModel[] = [];
		let lose: (why: string) => void = () => undefined;
		const lost = new Promise<string>((resolve) => {
			lose = resolve;
		});
		const connect = async (role: string) => {
			const connection = await this.#connect(host, role);
			connections.push(connection);
			watch(connection, lose);
			return connection;
		};
		const giveUp = () => connections.forEach(discard);
		const tooSlow = setTimeout(giveUp, SETUP_TIMEOUT_MS);
		this.#closing.signal.addEventListener("abort", giveUp);
		try {
			const consume = await connect("consume");
			const publish = await connect("publish");
			const publisher = await publish.createConfirmChannel();
			watch(publisher, lose);
			const returned = new Set<string>();
			publisher.on("return", ({ properties }) => returned.add(properties.messageId));
			const session: Session = { consume, publish, publisher, exchanges: new Map(), returned, lost, lose };
			for (const subscription of this.#subscriptions) await establish(session, subscription);
			return session;
		} catch (error) {
			giveUp();
			throw error;
		} finally {
			clearTimeout(tooSlow);
			this.#closing.signal.removeEventListener("abort", giveUp);
		}
	}

	async #connect({ hostname, port, username, password }: TransportHost, role: string): Promise<ChannelModel> {
		const vhost = encodeURIComponent(this.#url.vhost);
		const connected = amqp.connect(
			{
				protocol: "amqp",
				hostname,
				port,
				username,
				password,
				vhost,
				heartbeat: this.#options.heartbeat_timeout_threshold,
			},
			{
				noDelay: true,
				timeout: CONNECT_TIMEOUT_MS,
				clientProperties: { connection_name: `${this.#connectionName}:${process.pid}:${role}` },
			},
		);
		return connected.catch((cause: unknown) => {
			// The one refusal whose text amqplib does not hand over.
			if (!messageOf(cause).startsWith("Expected ConnectionOpenOk; got <ConnectionClose")) throw cause;
			throw new Error(`the virtual host "${this.#url.vhost}" does not exist, or ${username} may not use it`, { cause });
		});
	}

	async #ready(deadline: AbortSignal): Promise<Session> {
		while (this.#session === undefined) {
			if (this.#closing.signal.aborted) throw new MessageDeliveryFailure("the transport is closed");
			await new Promise<void>((resolve, reject) => {
				this.#waiting.push(resolve);
				const fail = () => reject(new MessageDeliveryFailure("no connection to RabbitMQ"));
				deadline.addEventListener("abort", fail, { once: true });
			});
		}
		return this.#session;
	}
}

async function establish(session: Session, subscription: Subscription): Promise<void> {
	const channel = await session.consume.createChannel();
	watch(channel, session.lose);
	channel.on("cancel", () => session.lose("a consumer was cancelled"));
	await subscription.setup(channel);
	subscription.channel = channel;
	subscription.established();
}

function watch(emitter: ChannelModel | Channel, lose: (why: string) => void): void {
	emitter.on("error", (error: Error) => lose(error.message));
	emitter.on("close", () => lose("closed by the broker"));
}

/** Ends a connection without asking the broker, which may hang. */
function discard(connection: ChannelModel): void {
	// amqplib has no call for it; the socket is a public field of its connection.
	const { stream } = connection.connection as unknown as {
		readonly stream: NodeJS.WritableStream & { destroy(error?: Error): void };
	};
	connection.on("error", () => undefined);
	stream.destroy(new Error("given up"));
}

async function assertTransientQueue(channel: Channel, queue: string): Promise<void> {
	const options = {
		durable: false,
		exclusive: false,
		autoDelete: false,
		arguments: { "x-expires": TRANSIENT_QUEUE_TTL_MS },
	};
	await channel.assertQueue(queue, options);
}

/** As Python does before the first publish to an exchange; the default exchange is always there. */
async function declareExchange({ publisher, exchanges }: Session, to: Destination): Promise<void> {
	if (to.kind === "fanout") {
		// Each time: it goes with its last queue.
		await publisher.assertExchange(to.exchange, "fanout", { durable: false, autoDelete: true });
	} else if (to.kind === "topic") {
		const declared =
			exchanges.get(to.exchange) ??
			publisher.assertExchange(to.exchange, "topic", { durable: false, autoDelete: false });
		exchanges.set(to.exchange, declared);
		await declared;
	}
}

function addressOf(to: Destination): readonly [exchange: string, key: string] {
	if (to.kind === "reply") return ["", to.queue];
	return to.kind === "fanout" ? [to.exchange, ""] : [to.exchange, to.key];
}

function deliveryOf(channel: Channel, message: amqp.ConsumeMessage): Delivery {
	const { contentType, expiration, headers } = message.properties;
	const compression: unknown = headers?.["compression"];
	const settle = (how: () => void) => {
		try {
			how();
			return true;
		} catch {
			// The channel is gone: the broker will hand the message out again.
			return false;
		}
	};
	return {
		body: message.content,
		contentType,
		compression: compression === undefined ? undefined : String(compression),
		expiration,
		redelivered: message.fields.redelivered,
		ack: () => settle(() => channel.ack(message)),
		reject: () => void settle(() => channel.reject(message, false)),
		requeue: () => void settle(() => channel.nack(message, false, true)),
	};
}

function messageOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}
