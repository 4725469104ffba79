import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { type Call, dispatch, type Endpoint } from "./endpoint.ts";
import { InvalidMessage, MessageDeliveryFailure, RpcFailure } from "./errors.ts";
import { encodeFailure } from "./failure.ts";
import type { Log } from "./log.ts";
import { failureReply, heartbeat, openEnvelope, type Request, readRequest, resultReply } from "./message.ts";
import { type ServerTarget, serverKey } from "./target.ts";
import type { Consumer, Delivery, Transport } from "./transport.ts";

export interface RpcServerOptions<Context> {
	readonly transport: Transport;
	readonly targets: readonly ServerTarget[];
	readonly endpoints: readonly Endpoint<Context>[];
	/** Reduces the raw context, which holds a usable token, to what the methods may know. */
	readonly deserializeContext: (raw: ReadonlyMap<string, unknown>) => Context;
	readonly log: Log;
	/** Requests of one queue worked on at once; further ones wait in the broker. */
	readonly maxInFlight: number;
	/** Seconds after which a call is answered in any case; never more than half of the caller's own time. */
	readonly maxCallTime: number;
}

/** The part of a call's time that is kept for sending the reply. */
const REPLY_RESERVE = 0.1;
const REPLY_QUEUE = /^reply_[0-9A-Za-z_.:-]{1,200}$/;
const REPLY_TIMEOUT_MS = 3_000;
const REPLY_RETRY_MS = 250;
const MISSING_QUEUE_PATIENCE_MS = 2_000;
const MISSING_QUEUES = { max: 200, ttl: 60_000 };
const ANSWERED = { max: 4_096, ttl: 60_000, maxSize: 16 * 1024 * 1024 };

/**
 * Serves RPC as oslo.messaging's server does (oslo_messaging/rpc/server.py, _drivers/amqpdriver.py), with one difference
 * on purpose: a request is acknowledged after its reply is confirmed, because our methods have no side effects. A
 * redelivered one is acknowledged first, so a request that kills the process does so twice at most.
 */
export class RpcServer<Context> {
	readonly #options: RpcServerOptions<Context>;
	readonly #inFlight = new Set<Promise<void>>();
	/** Replies by `_unique_id`; empty while the request is being worked on. */
	readonly #answered = new LRUCache<string, Buffer>({ ...ANSWERED, sizeCalculation: (reply) => reply.length + 64 });
	readonly #missingQueues = new LRUCache<string, true>(MISSING_QUEUES);
	#consumers: readonly Consumer[] = [];

	constructor(options: RpcServerOptions<Context>) {
		this.#options = options;
	}

	/** Resolves once all targets are being consumed. */
	async start(): Promise<void> {
		const { transport, targets, maxInFlight } = this.#options;
		this.#consumers = await Promise.all(
			targets.map((target) => transport.listen(target, maxInFlight, (delivery) => this.#accept(delivery, target))),
		);
	}

	/** Takes nothing new and finishes what is in flight. */
	async stop(): Promise<void> {
		await Promise.all(this.#consumers.map((consumer) => consumer.cancel()));
		await Promise.all(this.#inFlight);
	}

	#accept(delivery: Delivery, target: ServerTarget): void {
		const work = this.#process(delivery, target)
			.catch((error: unknown) => this.#options.log.error(`request on ${serverKey(target)} lost: ${String(error)}`))
			.finally(() => this.#inFlight.delete(work));
		this.#inFlight.add(work);
	}

	async #process(delivery: Delivery, target: ServerTarget): Promise<void> {
		const request = this.#read(delivery, target);
		if (request === undefined) return delivery.reject();
		if (delivery.redelivered) delivery.ack();

		const budget = callBudget(delivery.expiration, this.#options.maxCallTime * 1000);
		const answerBy = performance.now() + budget;
		const { uniqueId, replyTo } = request;
		const previous = uniqueId === undefined ? undefined : this.#answered.get(uniqueId);
		if (previous === undefined) {
			if (uniqueId !== undefined) this.#answered.set(uniqueId, Buffer.alloc(0));
			const reply = await this.#work(request, target, budget);
			if (uniqueId !== undefined) this.#answered.set(uniqueId, reply);
			if (replyTo) await this.#reply(replyTo.queue, reply, answerBy);
		} else if (delivery.redelivered && previous.length > 0 && replyTo) {
			// The connection broke between our reply and our acknowledgement: nobody knows whether the reply arrived.
			await this.#reply(replyTo.queue, previous, answerBy);
		} else {
			this.#options.log.warning(`ignoring duplicate message ${uniqueId} on ${serverKey(target)}`);
		}
		if (!delivery.redelivered) delivery.ack();
	}

	#read(delivery: Delivery, target: ServerTarget): Request | undefined {
		try {
			return readRequest(openEnvelope(delivery.body, delivery.contentType));
		} catch (error) {
			if (!(error instanceof InvalidMessage)) throw error;
			this.#options.log.warning(`dropping a message on ${serverKey(target)} that is no request: ${error.message}`);
			return undefined;
		}
	}

	/** Runs the method; the reply to send, whether it went well or not. */
	async #work(request: Request, target: ServerTarget, budget: number): Promise<Buffer> {
		const timeUp = new AbortController();
		const timer = setTimeout(() => timeUp.abort(), budget * (1 - REPLY_RESERVE));
		const answered = new AbortController();
		const heartbeats = this.#keepWaiting(request, budget, answered.signal);
		const msgId = request.replyTo?.msgId ?? "";
		try {
			const method = dispatch(this.#options.endpoints, request);
			const call: Call<Context> = {
				context: this.#options.deserializeContext(request.context),
				target,
				signal: timeUp.signal,
			};
			return resultReply(msgId, await method.handler(request.args, call));
		} catch (error) {
			if (!(error instanceof RpcFailure)) {
				const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
				this.#options.log.error(`${request.method} failed: ${text}`);
			}
			return failureReply(msgId, encodeFailure(error));
		} finally {
			clearTimeout(timer);
			answered.abort();
			await heartbeats;
		}
	}

	/** Sends heartbeats every half `_timeout` until the call is answered or its time is up; none may follow the reply. */
	async #keepWaiting({ monitorTimeout, replyTo }: Request, budget: number, answered: AbortSignal): Promise<void> {
		const interval = heartbeatInterval(monitorTimeout);
		if (interval === undefined || !replyTo || !REPLY_QUEUE.test(replyTo.queue)) return;
		const to = { kind: "reply", queue: replyTo.queue } as const;
		try {
			for (let elapsed = interval; elapsed < budget; elapsed += interval) {
				await sleep(interval, undefined, { signal: answered });
				const outcome = await this.#options.transport.publish(to, heartbeat(replyTo.msgId), {
					timeout: REPLY_TIMEOUT_MS,
				});
				if (outcome === "unroutable") return;
			}
		} catch (error) {
			if (!answered.aborted && !(error instanceof MessageDeliveryFailure)) throw error;
		}
	}

	/**
	 * Sends a reply. While the broker is away it tries until the call's time is up; a reply queue that is missing may be
	 * that of a caller who is reconnecting, so it waits a little, and remembers the queue so that dead callers do not
	 * slow down the others.
	 */
	async #reply(queue: string, reply: Buffer, answerBy: number): Promise<void> {
		const { log } = this.#options;
		if (!REPLY_QUEUE.test(queue)) {
			return log.warning(`dropping a reply to ${JSON.stringify(queue)}, which is no reply queue`);
		}
		if (this.#missingQueues.has(queue)) {
			return log.warning(`dropping a reply to ${queue}, which was missing a moment ago`);
		}
		for (let missingSince = Number.POSITIVE_INFINITY; ; ) {
			const outcome = await this.#tryReply(queue, reply, answerBy);
			const now = performance.now();
			if (outcome === "routed") return;
			if (outcome === "unroutable") {
				missingSince = Math.min(missingSince, now);
				if (now >= missingSince + MISSING_QUEUE_PATIENCE_MS) {
					this.#missingQueues.set(queue, true);
					return log.warning(`dropping a reply: the queue ${queue} does not exist`);
				}
			} else if (now >= answerBy) return log.warning(`dropping a reply to ${queue}: ${outcome.message}`);
			await sleep(REPLY_RETRY_MS);
		}
	}

	async #tryReply(
		queue: string,
		reply: Buffer,
		answerBy: number,
	): Promise<"routed" | "unroutable" | MessageDeliveryFailure> {
		const timeout = Math.max(answerBy - performance.now(), REPLY_TIMEOUT_MS);
		try {
			return await this.#options.transport.publish({ kind: "reply", queue }, reply, { timeout });
		} catch (error) {
			if (error instanceof MessageDeliveryFailure) return error;
			throw error;
		}
	}
}

/**
 * Milliseconds in which a call is answered: at most half of the time that the caller waits, because the time that the
 * message has spent in the queue is unknown. RabbitMQ hands over `expiration` as it was sent.
 */
export function callBudget(expiration: string | undefined, maxCallTime: number): number {
	const hard = expiration !== undefined && /^[1-9]\d{0,9}$/.test(expiration) ? Number(expiration) : 2 * maxCallTime;
	return Math.min(maxCallTime, hard / 2);
}

/** Milliseconds between heartbeats: half of Python's `int(_timeout)`; none when that is below a second. */
export function heartbeatInterval(monitorTimeout: unknown): number | undefined {
	const seconds =
		typeof monitorTimeout === "number" || (typeof monitorTimeout === "string" && /^\d{1,9}$/.test(monitorTimeout))
			? Math.trunc(Number(monitorTimeout))
			: 0;
	return seconds >= 2 ? seconds * 500 : undefined;
}
