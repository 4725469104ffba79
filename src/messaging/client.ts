import { isCompatible } from "./endpoint.ts";
import {
	InvalidMessage,
	InvalidTarget,
	MessageDeliveryFailure,
	MessageUndeliverable,
	RPCVersionCapError,
} from "./errors.ts";
import { newId, openEnvelope, type Reply, readReply, requestFields, sealEnvelope } from "./message.ts";
import { addressText, type ClientTarget, fanoutExchange, routingKey } from "./target.ts";
import type { Consumer, Delivery, Destination, Transport } from "./transport.ts";
import { LONGEST_MS, startWaiter, type Waiter } from "./waiter.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface RpcClientOptions {
	/** `major.minor`: the newest message that every server understands. A newer one, or one without, is not sent. */
	readonly versionCap?: string;
}

export interface CallOptions {
	/** Seconds to wait for the reply. */
	readonly timeout: number;
	/** Seconds between two signs of life; the server then sends heartbeats. */
	readonly callMonitorTimeout?: number;
	readonly context?: Fields;
	/** Takes each reply as it came, and its `_msg_id`. */
	readonly onBody?: (body: Buffer, msgId: string) => void;
}

/** Of a cast, which has no time of its own. */
const CAST_TIMEOUT_MS = 10_000;
/** A short string of AMQP 0-9-1: names of exchanges, routing keys. */
const MAX_NAME_BYTES = 255;

/**
 * Calls RPC servers as oslo.messaging's client does (oslo_messaging/rpc/client.py, _drivers/amqpdriver.py). With one
 * difference: the broker always tells us when nothing listens (Python asks for that with `at_least_once` only), so
 * a call to nobody ends at once instead of in its timeout.
 */
export class RpcClient {
	readonly #transport: Transport;
	readonly #versionCap: string | undefined;
	readonly #waiters = new Map<string, Waiter>();
	/** Declared at the first call, used for all of them. */
	readonly #replyQueue: string;
	#listening: Promise<void> | undefined;
	#consumer: Consumer | undefined;
	#closed = false;

	constructor(transport: Transport, { versionCap }: RpcClientOptions = {}) {
		this.#transport = transport;
		this.#versionCap = versionCap;
		this.#replyQueue = transport.newReplyQueue();
	}

	/** How many calls wait for their reply. */
	get waiting(): number {
		return this.#waiters.size;
	}

	/**
	 * The result of the method. Throws RemoteError when it failed, MessagingTimeout when nothing came (the method may
	 * still run: its late reply is dropped), MessageUndeliverable when nothing listens, MessageDeliveryFailure when the
	 * broker did not take the request; and, before anything is sent, InvalidTarget and RPCVersionCapError.
	 */
	async call(target: ClientTarget, method: string, args: Fields, options: CallOptions): Promise<unknown> {
		return this.send(target, requestFields(method, args, target, options.context), options);
	}

	/** Sends without waiting for anything; whether the message reached a queue. With `fanout` to every server. */
	async cast(
		target: ClientTarget,
		method: string,
		args: Fields,
		context: Fields = {},
	): Promise<"routed" | "unroutable"> {
		this.#checkVersion(target.version);
		const fields = { ...requestFields(method, args, target, context), _unique_id: newId() };
		return this.#transport.publish(destination(target), sealEnvelope(fields), { timeout: CAST_TIMEOUT_MS });
	}

	/** Sends the fields of a request, recorded ones for instance, as a call of our own and waits for its reply. */
	async send(target: ClientTarget, fields: Fields, options: CallOptions): Promise<unknown> {
		if (target.fanout) throw new InvalidTarget(`a call cannot be used with fanout: ${addressText(target)}`);
		if (this.#closed) throw new MessageDeliveryFailure("the client is closed");
		this.#checkVersion(fields["version"]);
		const to = destination(target);
		const msgId = newId();
		const correlation = {
			_msg_id: msgId,
			_reply_q: this.#replyQueue,
			_timeout: options.callMonitorTimeout ?? null,
			_unique_id: newId(),
		};
		const body = sealEnvelope({ ...fields, ...correlation });
		const expiration = Math.min(options.timeout * 1000, LONGEST_MS);
		const waiter = startWaiter({
			what: `${String(fields["method"])} of ${addressText(target)}`,
			timeout: options.timeout,
			callMonitorTimeout: options.callMonitorTimeout,
			isConnected: () => this.#transport.state().connected !== undefined,
			onBody: options.onBody,
			onSettled: () => this.#waiters.delete(msgId),
		});
		this.#waiters.set(msgId, waiter);
		this.#listen()
			.then(() => {
				// Nobody waits any more when the connection took longer than the call may.
				if (!this.#waiters.has(msgId)) return "routed";
				waiter.lacks = "exchange";
				const onSent = () => {
					waiter.sent = true;
				};
				return this.#transport.publish(to, body, { expiration, timeout: expiration, onSent });
			})
			.then(
				(outcome) => {
					waiter.routed = outcome === "routed";
					if (outcome === "unroutable")
						waiter.reject(new MessageUndeliverable(`nothing listens on ${addressText(target)}`));
				},
				(error: Error) => waiter.reject(error),
			);
		return waiter.result;
	}

	/** Whether the version cap lets a message of this version be sent. */
	canSendVersion(version: string): boolean {
		return this.#versionCap === undefined || isCompatible(this.#versionCap, version);
	}

	/** Ends the calls that still wait, and listens for no further reply; the transport stays open. */
	async close(): Promise<void> {
		this.#closed = true;
		for (const { reject } of this.#waiters.values()) reject(new MessageDeliveryFailure("the client was closed"));
		await this.#consumer?.cancel();
	}

	/** Resolves when replies can arrive. A client that was closed meanwhile listens no longer. */
	#listen(): Promise<void> {
		this.#listening ??= this.#transport
			.listenForReplies(this.#replyQueue, (delivery) => this.#onReply(delivery))
			.then(async (consumer) => {
				this.#consumer = consumer;
				if (this.#closed) await consumer.cancel();
			});
		return this.#listening;
	}

	#checkVersion(version: unknown): void {
		const text = String(version ?? "none");
		const cap = this.#versionCap;
		if (cap !== undefined && !isCompatible(cap, text)) throw new RPCVersionCapError(text, cap);
	}

	/** A reply that nobody waits for - late, a second one, somebody else's - is dropped. */
	#onReply(delivery: Delivery): void {
		delivery.ack();
		let reply: Reply;
		try {
			reply = readReply(openEnvelope(delivery));
		} catch (error) {
			// Whoever waits for it runs into the timeout, as with a reply that was lost.
			if (error instanceof InvalidMessage) return;
			throw error;
		}
		this.#waiters.get(reply.msgId)?.onReply(reply, delivery.body);
	}
}

function destination(target: ClientTarget): Destination {
	const { exchange, topic, fanout } = target;
	if (topic === "") throw new InvalidTarget("the target has no topic");
	if (fanout) return { kind: "fanout", exchange: shortString(fanoutExchange(target)) };
	if (exchange === "") throw new InvalidTarget(`the target with topic ${topic} has no exchange`);
	return { kind: "topic", exchange: shortString(exchange), key: shortString(routingKey(target)) };
}

/** What AMQP has no room for would be told as a fault of the connection. */
function shortString(text: string): string {
	const bytes = Buffer.byteLength(text);
	if (bytes <= MAX_NAME_BYTES) return text;
	throw new InvalidTarget(
		`${text.slice(0, 40)}... has ${bytes} bytes, a name on the bus has ${MAX_NAME_BYTES} at most`,
	);
}
