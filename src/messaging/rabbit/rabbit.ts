import amqp, { type ChannelModel } from "amqplib";
import { deferred } from "../deferred.ts";
import { MessageDeliveryFailure } from "../errors.ts";
import type { Log } from "../log.ts";
import type { ServerTarget } from "../target.ts";
import type { Consumer, Delivery, Destination, PublishOptions, Transport, TransportState } from "../transport.ts";
import { coalesceWrites } from "./coalesced-writes.ts";
import { hasTooManyChannels, LOOK_AGAIN_MS } from "./declare.ts";
import { explain } from "./faults.ts";
import { endOf, listenFromTheBeginning } from "./handshake.ts";
import { limitHeaders } from "./header-limit.ts";
import type { RabbitOptions } from "./options.ts";
import { Publisher } from "./publisher.ts";
import { nameOf, type Redeclaring, type Session, watch } from "./session.ts";
import { Subscription } from "./subscription.ts";
import { supervise, until } from "./supervisor.ts";
import { type Tap, tapTopology } from "./tap.ts";
import { tlsOptions } from "./tls.ts";
import { type Declaration, fanoutQueueName, replyQueueName, replyTopology, serverTopology } from "./topology.ts";
import type { TransportHost, TransportUrl } from "./transport-url.ts";

/** What the rest of this directory knows of amqplib. */
export type { Channel, ChannelModel, ConfirmChannel, ConsumeMessage } from "amqplib";

/** Without a sign of life from the broker. */
const CONNECT_TIMEOUT_MS = 3_000;
/** Altogether, for a broker that is there but slow. */
const SETUP_TIMEOUT_MS = 10_000;
/** How long we wait for a broker's goodbye. */
const GOODBYE_TIMEOUT_MS = 500;
/** Of silence, until the kernel asks whether the other end is still there: heartbeats may be turned off. */
const KEEP_ALIVE_MS = 60_000;
/** The largest frame that we agree to; amqplib would collect 64 MiB of one that a broker announces. */
const FRAME_MAX = 131_072;

type OnDelivery = (delivery: Delivery) => void;

export interface RabbitTransportOptions {
	readonly url: TransportUrl;
	readonly options: RabbitOptions;
	/** What operators see in the list of connections, before the process id and the role. */
	readonly connectionName: string;
	readonly log: Log;
	/** For a command that somebody waits for: what every broker refuses at first - a password, a virtual host - is not tried again. */
	readonly isImpatient?: boolean;
}

/** RabbitMQ as oslo.messaging uses it (oslo_messaging/_drivers/impl_rabbit.py); see topology.ts for what is declared. */
export class RabbitTransport implements Transport {
	readonly #url: TransportUrl;
	readonly #options: RabbitOptions;
	readonly #connectionName: string;
	readonly #log: Log;
	readonly #subscriptions = new Set<Subscription>();
	readonly #closing = new AbortController();
	readonly #supervised: Promise<void>;
	#session: Session | undefined;
	#connections = 0;
	readonly #redeclaring: Redeclaring = { notBefore: 0 };
	#resumedAt: number | undefined;
	/** Roles of connections that the broker takes no messages on. */
	readonly #blocked = new Set<string>();
	/** Resolves with the session, or with the next one. */
	#connected = deferred<Session>();

	constructor({ url, options, connectionName, log, isImpatient = false }: RabbitTransportOptions) {
		this.#url = url;
		this.#options = options;
		this.#connectionName = connectionName;
		this.#log = log;
		this.#supervised = supervise({
			places: url.hosts,
			strategy: options.kombu_failover_strategy,
			nameOf,
			open: (host) => this.#open(host),
			explain,
			onRefused: (text) => {
				if (isImpatient && this.#connections === 0) this.#end(new MessageDeliveryFailure(text));
			},
			log,
			stop: this.#closing.signal,
		});
	}

	state(): TransportState {
		const subscriptions = [...this.#subscriptions];
		return {
			connected: this.#session && nameOf(this.#session.host),
			connections: this.#connections,
			consuming: subscriptions.length > 0 && subscriptions.every(({ isConsuming }) => isConsuming),
			blocked: this.#blocked.size > 0 || this.#session?.publisher.isMute === true,
			inequivalent: subscriptions.flatMap((subscription) => subscription.inequivalent()),
		};
	}

	resumedAt(): number | undefined {
		return this.#resumedAt;
	}

	async listen(target: ServerTarget, prefetch: number, onDelivery: OnDelivery): Promise<Consumer> {
		const topology = serverTopology(target, fanoutQueueName(target, this.#options), this.#options);
		// Python's counts what is not acknowledged, which is at once: it bounds what waits, and never what is worked on.
		return this.#subscribe(topology, Math.max(this.#options.rabbit_qos_prefetch_count, prefetch), onDelivery);
	}

	newReplyQueue(): string {
		return replyQueueName(this.#options);
	}

	async listenForReplies(queue: string, onDelivery: OnDelivery): Promise<Consumer> {
		const { rabbit_qos_prefetch_count: prefetch } = this.#options;
		return this.#subscribe(replyTopology(queue, this.#options), prefetch, onDelivery);
	}

	/**
	 * Gets copies of what others send; nobody's messages are taken. Each is to be acknowledged, which tells nobody but the
	 * broker. `onResumed` is called after an outage, in which copies are lost.
	 */
	async tap(tap: Tap, onDelivery: OnDelivery, onResumed: () => void): Promise<Consumer> {
		return this.#subscribe(tapTopology(tap), tap.prefetch, onDelivery, onResumed);
	}

	publish(to: Destination, body: Buffer, options: PublishOptions): Promise<"routed" | "unroutable"> {
		return new Promise((resolve, reject) => {
			const waiting = { still: true };
			let isSent = false;
			const onSent = () => {
				isSent = true;
				options.onSent?.();
			};
			const timer = setTimeout(() => {
				waiting.still = false;
				const why = this.#session ? "not confirmed by the broker in time" : "no connection to RabbitMQ";
				reject(new MessageDeliveryFailure(isSent ? `${why}; it may have the message` : why));
			}, options.timeout);
			const settle = (finish: () => void) => {
				clearTimeout(timer);
				finish();
			};
			this.#send(to, body, { ...options, onSent }, waiting).then(
				(outcome) => settle(() => resolve(outcome)),
				(error: unknown) => settle(() => reject(deliveryFailure(error))),
			);
		});
	}

	/**
	 * Published again, as in Python (Connection.ensure of impl_rabbit.py), when the connection breaks before the broker has said that it
	 * has the message: servers know a request by its `_unique_id`, and a caller takes one reply.
	 */
	async #send(
		to: Destination,
		body: Buffer,
		options: PublishOptions,
		waiting: { readonly still: boolean },
	): Promise<"routed" | "unroutable"> {
		for (;;) {
			const { publisher, lost } = this.#session ?? (await this.#connected.promise);
			try {
				await publisher.declareFor(to);
				// Nothing is sent that nobody waits for any more.
				if (!waiting.still) throw new Error("too late");
				return await publisher.send(to, body, options);
			} catch (error) {
				if (!lost.signal.aborted || !waiting.still) throw error;
			}
		}
	}

	async close(): Promise<void> {
		const why = new MessageDeliveryFailure("the transport is closed");
		this.#closing.abort(why);
		await this.#supervised;
		if (this.#session) {
			const { consuming, publishing, lost } = this.#session;
			const closed = [consuming, publishing].map((connection) => connection.close().catch(() => undefined));
			await Promise.race([Promise.all(closed), until([lost.signal], GOODBYE_TIMEOUT_MS)]);
			lost.abort(new Error("closed"));
		}
		this.#end(why);
	}

	/** Whatever waits for a connection, or is begun later, fails. */
	#end(why: MessageDeliveryFailure): void {
		this.#closing.abort(why);
		this.#connected.reject(why);
		for (const subscription of this.#subscriptions) subscription.established.reject(why);
	}

	async #subscribe(
		topology: readonly Declaration[],
		prefetch: number,
		onDelivery: OnDelivery,
		onResumed?: () => void,
	): Promise<Consumer> {
		this.#closing.signal.throwIfAborted();
		const subscription = new Subscription({
			topology,
			prefetch,
			onDelivery,
			onResumed,
			log: this.#log,
		});
		this.#subscriptions.add(subscription);
		if (this.#session) subscription.serve(this.#session);
		await subscription.established.promise;
		const cancel = async () => {
			this.#subscriptions.delete(subscription);
			await subscription.cancel();
		};
		return { cancel };
	}

	async #open(host: TransportHost): Promise<AbortSignal> {
		const lost = new AbortController();
		const giveUp = () => lost.abort(new Error("closed"));
		this.#closing.signal.addEventListener("abort", giveUp);
		const tooSlow = setTimeout(() => lost.abort(new Error("too slow to connect to")), SETUP_TIMEOUT_MS);
		try {
			const consuming = await this.#connect(host, "consume", lost);
			const publishing = await this.#connect(host, "publish", lost);
			const publisher = new Publisher(publishing, this.#options, this.#log, lost.signal);
			this.#adopt({
				host,
				consuming,
				publishing,
				publisher,
				lost,
				redeclared: Promise.resolve(),
				redeclaring: this.#redeclaring,
			});
			return lost.signal;
		} catch (error) {
			lost.abort(error);
			throw lost.signal.reason;
		} finally {
			clearTimeout(tooSlow);
			this.#closing.signal.removeEventListener("abort", giveUp);
		}
	}

	#adopt(session: Session): void {
		const { signal } = session.lost;
		// A connection may have been lost while the other one was made.
		signal.throwIfAborted();
		const dropped = () => {
			this.#session = undefined;
			this.#blocked.clear();
			this.#connected = deferred();
			// Redeclaring takes one channel more than consuming.
			if (hasTooManyChannels(signal.reason)) this.#redeclaring.notBefore = performance.now() + LOOK_AGAIN_MS;
		};
		signal.addEventListener("abort", dropped, { once: true });
		this.#log.info(`connected to ${nameOf(session.host)}`);
		this.#session = session;
		if (this.#connections++ > 0) this.#resumedAt = performance.now();
		this.#connected.resolve(session);
		for (const subscription of this.#subscriptions) subscription.serve(session);
	}

	async #connect(host: TransportHost, role: string, lost: AbortController): Promise<ChannelModel> {
		const { hostname, port, username, password } = host;
		const { ssl, heartbeat_timeout_threshold: heartbeat, rabbit_login_method } = this.#options;
		const vhost = encodeURIComponent(this.#url.vhost);
		const socket = {
			...(ssl && tlsOptions(this.#options)),
			noDelay: true,
			keepAlive: true,
			keepAliveDelay: KEEP_ALIVE_MS,
			timeout: CONNECT_TIMEOUT_MS,
			signal: lost.signal,
			credentials: CREDENTIALS[rabbit_login_method](username, password),
			clientProperties: { connection_name: `${this.#connectionName}:${process.pid}:${role}` },
		};
		const protocol = ssl ? "amqps" : "amqp";
		const connection = await amqp.connect(
			{ protocol, hostname, port, vhost, heartbeat, frameMax: FRAME_MAX, maxFrameSize: FRAME_MAX },
			socket,
		);
		watch(connection, lost);
		const end = endOf(connection.connection);
		if (end) throw end;
		coalesceWrites(connection);
		limitHeaders(connection, this.#log);
		connection.on("blocked", (why) => {
			this.#blocked.add(role);
			this.#log.warning(`${nameOf(host)} takes no messages (${role}): ${why}`);
		});
		connection.on("unblocked", () => {
			this.#blocked.delete(role);
			this.#log.info(`${nameOf(host)} takes messages again (${role})`);
		});
		return connection;
	}
}

// amqplib does not export the class of its connections.
const { Connection } = await import(new URL("lib/connection.js", import.meta.resolve("amqplib")).href);
listenFromTheBeginning(Connection);

const CREDENTIALS = {
	AMQPLAIN: amqp.credentials.amqplain,
	PLAIN: amqp.credentials.plain,
	EXTERNAL: amqp.credentials.external,
};

function deliveryFailure(cause: unknown): MessageDeliveryFailure {
	if (cause instanceof MessageDeliveryFailure) return cause;
	const text = cause instanceof Error ? cause.message : String(cause);
	return new MessageDeliveryFailure(`not confirmed by the broker: ${text}`, { cause });
}
