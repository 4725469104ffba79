import { InvalidMessage, MessageDeliveryFailure, MessagingTimeout } from "./errors.ts";
import { decodeFailure } from "./failure.ts";
import { newId, openEnvelope, type Reply, readReply, requestFields, sealEnvelope } from "./message.ts";
import { type ClientTarget, fanoutExchange, serverKey } from "./target.ts";
import type { Delivery, Destination, Transport } from "./transport.ts";

export interface CallOptions {
	/** Seconds to wait for the reply. */
	readonly timeout: number;
	/** Seconds between two signs of life; the server then sends heartbeats. */
	readonly callMonitorTimeout?: number;
	readonly context?: Readonly<Record<string, unknown>>;
}

interface Waiter {
	readonly resolve: (result: unknown) => void;
	readonly reject: (error: Error) => void;
	readonly onHeartbeat: () => void;
}

const SEND_TIMEOUT_MS = 10_000;

/** Calls RPC servers as oslo.messaging's client does (oslo_messaging/rpc/client.py). */
export class RpcClient {
	readonly #transport: Transport;
	readonly #waiters = new Map<string, Waiter>();
	/** Declared at the first call, used for all of them. */
	readonly #replyQueue: string;
	#listening: Promise<unknown> | undefined;

	constructor(transport: Transport) {
		this.#transport = transport;
		this.#replyQueue = transport.newReplyQueue();
	}

	/** The result of the method; throws RemoteError when it failed and MessagingTimeout when nothing came. */
	async call(
		target: ClientTarget,
		method: string,
		args: Readonly<Record<string, unknown>>,
		options: CallOptions,
	): Promise<unknown> {
		return this.send(target, requestFields(method, args, target, options.context), options);
	}

	/** Sends without waiting for anything; whether the message reached a queue. */
	async cast(
		target: ClientTarget,
		method: string,
		args: Readonly<Record<string, unknown>>,
		context: Readonly<Record<string, unknown>> = {},
	): Promise<"routed" | "unroutable"> {
		const fields = { ...requestFields(method, args, target, context), _unique_id: newId() };
		return this.#transport.publish(destination(target), sealEnvelope(fields), { timeout: SEND_TIMEOUT_MS });
	}

	/** Sends the fields of a request, recorded ones for instance, as a call of our own and waits for its reply. */
	async send(target: ClientTarget, fields: Readonly<Record<string, unknown>>, options: CallOptions): Promise<unknown> {
		const msgId = newId();
		const correlation = {
			_msg_id: msgId,
			_reply_q: this.#replyQueue,
			_timeout: options.callMonitorTimeout ?? null,
			_unique_id: newId(),
		};
		const to = destination(target);
		const body = sealEnvelope({ ...fields, ...correlation });
		const expiration = options.timeout * 1000;
		const reply = this.#wait(msgId, String(fields["method"]), options);
		this.#listening ??= this.#transport.listenForReplies(this.#replyQueue, (delivery) => this.#onReply(delivery));
		this.#listening
			.then(() => {
				// Nobody waits any more when the connection took longer than the call may.
				if (!this.#waiters.has(msgId)) return "routed";
				return this.#transport.publish(to, body, { expiration, timeout: Math.min(SEND_TIMEOUT_MS, expiration) });
			})
			.then(
				(outcome) => {
					if (outcome === "routed") return;
					this.#waiters.get(msgId)?.reject(new MessageDeliveryFailure(`nothing listens on ${JSON.stringify(to)}`));
				},
				(error: Error) => this.#waiters.get(msgId)?.reject(error),
			);
		return reply;
	}

	#wait(msgId: string, method: string, { timeout, callMonitorTimeout }: CallOptions): Promise<unknown> {
		return new Promise((resolve, reject) => {
			const settle = (finish: () => void) => {
				clearTimeout(overall);
				clearTimeout(monitor);
				this.#waiters.delete(msgId);
				finish();
			};
			const expire = (seconds: number) => () =>
				settle(() => reject(new MessagingTimeout(`no reply to ${method} in ${seconds} s`)));
			const overall = setTimeout(expire(timeout), timeout * 1000);
			const monitor = callMonitorTimeout
				? setTimeout(expire(callMonitorTimeout), callMonitorTimeout * 1000)
				: undefined;
			this.#waiters.set(msgId, {
				resolve: (result) => settle(() => resolve(result)),
				reject: (error) => settle(() => reject(error)),
				onHeartbeat: () => monitor?.refresh(),
			});
		});
	}

	#onReply(delivery: Delivery): void {
		delivery.ack();
		let reply: Reply;
		try {
			reply = readReply(openEnvelope(delivery.body, delivery.contentType));
		} catch (error) {
			// Whoever waits for it runs into the timeout, as with a reply that was lost.
			if (error instanceof InvalidMessage) return;
			throw error;
		}
		const waiter = this.#waiters.get(reply.msgId);
		if (reply.failure !== null) waiter?.reject(decodeFailure(reply.failure));
		else if (reply.ending) waiter?.resolve(reply.result);
		else waiter?.onHeartbeat();
	}
}

function destination(target: ClientTarget): Destination {
	const { exchange, topic, server, fanout } = target;
	if (fanout) return { kind: "fanout", exchange: fanoutExchange(target) };
	return { kind: "topic", exchange, key: server === undefined ? topic : serverKey({ topic, server }) };
}
