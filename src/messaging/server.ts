import { setImmediate as nextTurn } from "node:timers/promises";
import { keepWaiting } from "./call-monitor.ts";
import { noRequests, outcomeOfFailure, type ReplyCounts, type RequestCounts } from "./counts.ts";
import { callBudget, Deadline } from "./deadline.ts";
import { deferred } from "./deferred.ts";
import { Duplicates } from "./duplicates.ts";
import { dispatch, type Endpoint, PING_ENDPOINT } from "./endpoint.ts";
import { InvalidMessage, RpcFailure } from "./errors.ts";
import type { Log } from "./log.ts";
import { failureReply, openEnvelope, type RawContext, type Request, readRequest, resultReply } from "./message.ts";
import { Replies } from "./replies.ts";
import { ServedCall } from "./served-call.ts";
import { type Slot, Slots } from "./slots.ts";
import { sparing } from "./sparing.ts";
import { type ServerTarget, serverKey } from "./target.ts";
import type { Consumer, Delivery, Transport } from "./transport.ts";

export interface RpcServerOptions<Context> {
	readonly transport: Transport;
	readonly targets: readonly ServerTarget[];
	readonly endpoints: readonly Endpoint<Context>[];
	/** Reduces the raw context, which holds a usable token, and the header `traceparent` to what the methods may know. */
	readonly deserializeContext: (raw: RawContext, traceparent: string | undefined) => Context;
	readonly log: Log;
	/** Requests worked on at once, those of all targets together. */
	readonly maxInFlight: number;
	/** Seconds after which a call is answered in any case; never more than half of the caller's own time. */
	readonly maxCallTime: number;
	/**
	 * When a request is acknowledged. "before" its method runs, as Python does: it runs at most once, which methods with
	 * side effects need. "after" its reply is confirmed, the default: it runs again elsewhere when the process dies; a
	 * redelivered one is acknowledged before all the same, so that a request which kills the process does so twice at most.
	 */
	readonly ack?: "after" | "before";
	/** Whether `oslo_rpc_server_ping` is answered (`rpc_ping_enabled`). */
	readonly ping?: boolean;
	/** Bytes of a reply at most; left out, those of any message. */
	readonly maxReply?: number;
	/** Seconds that a reply waits for its queue (`kombu_missing_consumer_retry_timeout`); 2 when left out. Longer after an outage. */
	readonly missingQueuePatience?: number;
}

/** For each slot one request that is worked on, and one that is here when it is answered: no slot waits for the broker. */
const PREFETCH = 2;

/** A message that a queue has handed to us. */
interface Arrived {
	readonly delivery: Delivery;
	readonly target: ServerTarget;
	/** The broker has been told what becomes of it, which may be said once. */
	isEnded: boolean;
	/** Held, as the slot is, until nothing is left to do for the message. */
	deadline: Deadline | undefined;
	/** None when the time of the call was up before one was free. */
	slot: Slot | undefined;
}

/** A request that is being served. */
interface Taken {
	readonly arrived: Arrived;
	readonly request: Request;
	readonly deadline: Deadline;
	/** Set when its time is over. */
	isLate: boolean;
	/** That of the method, once it is known. */
	maxReply: number | undefined;
}

interface Reply {
	readonly queue: string;
	readonly body: Buffer;
	/** On the clock of `performance.now()`. */
	readonly answerBy: number;
}

/** Serves RPC as oslo.messaging's server does (oslo_messaging/rpc/server.py, _drivers/amqpdriver.py). */
export class RpcServer<Context> {
	readonly requests: RequestCounts = noRequests();
	readonly #options: RpcServerOptions<Context>;
	readonly #endpoints: readonly Endpoint<Context>[];
	readonly #slots: Slots;
	readonly #duplicates = new Duplicates();
	readonly #replies: Replies;
	readonly #warnOfInvalid: (text: string) => void;
	readonly #warnOfDuplicate: (text: string) => void;
	readonly #warnOfMonitor: (text: string) => void;
	/** Counted, not collected: see Acknowledgements on what a Set leaves behind. */
	#inFlight = 0;
	readonly #idle = deferred<void>();
	#isStopping = false;
	#consumers: readonly Consumer[] = [];

	constructor(options: RpcServerOptions<Context>) {
		const { endpoints, ping, maxInFlight, transport, log, missingQueuePatience = 2 } = options;
		this.#options = options;
		this.#endpoints = ping ? [...endpoints, PING_ENDPOINT] : endpoints;
		this.#slots = new Slots(maxInFlight);
		this.#replies = new Replies({ transport, log, missingQueuePatience });
		const warn = (text: string) => log.warning(text);
		this.#warnOfInvalid = sparing(warn);
		this.#warnOfDuplicate = sparing(warn);
		this.#warnOfMonitor = sparing(warn);
	}

	get replies(): ReplyCounts {
		return this.#replies.counts;
	}

	/** Requests that are here and not answered yet. */
	get inFlight(): number {
		return this.#inFlight;
	}

	/** Resolves once all targets are being consumed. */
	async start(): Promise<void> {
		const { transport, targets, maxInFlight } = this.#options;
		this.#consumers = await Promise.all(
			targets.map((target) =>
				transport.listen(target, PREFETCH * maxInFlight, (delivery) => this.#accept(delivery, target)),
			),
		);
	}

	/** Takes nothing new, finishes what is being worked on, and gives back what is not. */
	async stop(): Promise<void> {
		await Promise.all(this.#consumers.map((consumer) => consumer.cancel()));
		this.#slots.close();
		this.#isStopping = true;
		this.#endWhenIdle();
		await this.#idle.promise;
		await this.#replies.settled();
	}

	#accept(delivery: Delivery, target: ServerTarget): void {
		this.#inFlight++;
		void this.#process({ delivery, target, isEnded: false, deadline: undefined, slot: undefined });
	}

	#endWhenIdle(): void {
		if (this.#isStopping && this.#inFlight === 0) this.#idle.resolve();
	}

	/**
	 * Nothing of the request is held while its reply is on its way: of all that waits for the broker, that is what the garbage
	 * collector would copy most.
	 */
	async #process(arrived: Arrived): Promise<void> {
		const { delivery, target } = arrived;
		try {
			const reply = await this.#serve(arrived);
			if (reply) {
				const { queue, body, answerBy } = reply;
				await this.#replies.send(queue, body, { answerBy, isHasty: arrived.slot === undefined });
			}
			if (!arrived.isEnded) delivery.ack();
		} catch (error) {
			// Or it would hold its place of the prefetch for as long as the connection lasts.
			if (!arrived.isEnded) delivery.reject();
			this.#options.log.error(`request on ${serverKey(target)} lost: ${String(error)}`);
		} finally {
			arrived.deadline?.clear();
			arrived.slot?.free();
			this.#inFlight--;
			this.#endWhenIdle();
		}
	}

	/** Everything that takes the request. Returns no reply for a cast, a duplicate, and what is dropped or given back. */
	async #serve(arrived: Arrived): Promise<Reply | undefined> {
		const { delivery } = arrived;
		const request = this.#read(arrived);
		if (request === undefined) {
			arrived.isEnded = true;
			delivery.reject();
			return undefined;
		}
		// A cast waits as long as it takes: nobody would hear that it was not done.
		if (request.replyTo) arrived.deadline = this.#deadline(delivery);
		const outcome = await this.#slots.take(arrived.deadline);
		if (outcome === "closed") {
			arrived.isEnded = true;
			delivery.requeue();
			return undefined;
		}
		if (outcome !== "late") arrived.slot = outcome;
		arrived.deadline ??= this.#deadline(delivery);
		if (this.#options.ack === "before" || delivery.redelivered) {
			arrived.isEnded = true;
			// It fails when the connection is gone; the broker then hands the request out again.
			if (!delivery.ack()) return undefined;
			await written();
		}
		const { deadline } = arrived;
		const { maxReply } = this.#options;
		const body = await this.#replyTo({ arrived, request, deadline, isLate: false, maxReply });
		return body && request.replyTo && { queue: request.replyTo.queue, body, answerBy: deadline.end };
	}

	#read({ delivery, target }: Arrived): Request | undefined {
		try {
			return readRequest(openEnvelope(delivery));
		} catch (error) {
			if (!(error instanceof InvalidMessage)) throw error;
			this.requests[delivery.tooLarge === undefined ? "invalid" : "oversize"]++;
			this.#warnOfInvalid(`dropping a message on ${serverKey(target)} that is no request: ${error.message}`);
			return undefined;
		}
	}

	#deadline({ expiration }: Delivery): Deadline {
		return new Deadline(callBudget(expiration, this.#options.maxCallTime * 1000));
	}

	/** Undefined for a duplicate. */
	async #replyTo(taken: Taken): Promise<Buffer | undefined> {
		const { uniqueId } = taken.request;
		const { delivery, target } = taken.arrived;
		const earlier = this.#duplicates.take(uniqueId);
		if (earlier === undefined) {
			const reply = await this.#work(taken);
			this.#duplicates.answered(uniqueId, reply);
			return reply;
		}
		this.requests.duplicate++;
		// The connection broke between our reply and our acknowledgement: nobody knows whether the reply arrived.
		if (earlier !== "being worked on" && delivery.redelivered && taken.request.replyTo) return earlier.reply;
		this.#warnOfDuplicate(`ignoring duplicate message ${uniqueId} on ${serverKey(target)}`);
		return undefined;
	}

	/** The reply to send, whether the method went well or not. */
	async #work(taken: Taken): Promise<Buffer> {
		const { request } = taken;
		const msgId = request.replyTo?.msgId ?? "";
		let endHeartbeats: ReturnType<typeof keepWaiting>;
		let outcome: keyof RequestCounts = "ok";
		try {
			endHeartbeats = keepWaiting(this.#options.transport, request, this.#warnOfMonitor);
			return resultReply(msgId, await this.#result(taken), taken.maxReply);
		} catch (error) {
			if (!(error instanceof RpcFailure)) this.#options.log.exception(`${request.method} failed`, error);
			outcome = outcomeOfFailure(error);
			return failureReply(msgId, error, taken.maxReply);
		} finally {
			this.requests[taken.isLate ? "expired" : outcome]++;
			await endHeartbeats?.();
		}
	}

	/** Runs the method; answers for it when its time is over, and drops whatever it comes to later. */
	async #result(taken: Taken): Promise<unknown> {
		const { request, deadline } = taken;
		const { delivery, target, slot } = taken.arrived;
		const { method, args } = request;
		const { handler, onTimeUp, maxReply = taken.maxReply } = dispatch(this.#endpoints, request);
		taken.maxReply = maxReply;
		const context = this.#options.deserializeContext(request.context, delivery.traceparent);
		const call = new ServedCall(context, target, deadline);
		const outcome = slot && (await deadline.within(slot.hold(handler(args, call))));
		if (outcome) return outcome.result;
		taken.isLate = true;
		this.#options.log.warning(`${method} on ${serverKey(target)} was not ${slot ? "finished" : "begun"} in time`);
		if (onTimeUp) return onTimeUp(args, call);
		throw new RpcFailure("InternalError", "novacompat", `${method}() was not finished in time`);
	}
}

/**
 * Until amqplib, which collects what it sends, has written it to the socket: a method that kills this process must not
 * take its acknowledgement along.
 */
async function written(): Promise<void> {
	for (let turn = 0; turn < 2; turn++) await nextTurn();
}
