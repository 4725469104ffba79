import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { noReplies, type ReplyCounts } from "./counts.ts";
import { MessageDeliveryFailure, MessageRefused, MessageTooLarge } from "./errors.ts";
import type { Log } from "./log.ts";
import { sparing } from "./sparing.ts";
import type { Transport } from "./transport.ts";

/** More than SEC-05 says by ":", which is in the names that oslo.messaging's queue manager makes (`use_queue_manager` of the caller). */
const REPLY_QUEUE = /^reply_[0-9A-Za-z_.:-]{1,200}$/;
const RETRY_MS = 250;
/** All that wait may send so much again in that time, because the broker returns it; with more the pause is longer. */
const RETRY_BYTES = 1024 * 1024;
/** For a reply that its method has finished in the last moment. */
const SHORTEST_TRY_MS = 50;
const MISSING_QUEUES = { max: 200, ttl: 60_000 };
const MAX_WAITING = { replies: 200, bytes: 16 * 1024 * 1024 };
/**
 * Whoever lost us the broker took it from the callers too, and they come back when they do: oslo.messaging sleeps up to 30 s between
 * attempts (`rabbit_interval_max`). A queue is waited for until so long after we have found it again.
 */
const RETURN_MS = 60_000;
/** A service that stops waits no longer, however late its callers may come back. */
const STOP_MS = 2_000;

export interface RepliesOptions {
	readonly transport: Pick<Transport, "publish" | "resumedAt" | "state">;
	readonly log: Log;
	/** Seconds. */
	readonly missingQueuePatience: number;
}

/** How long a reply may take. */
export interface Patience {
	/** While the broker is away it is tried until then, on the clock of `performance.now()`. */
	readonly answerBy: number;
	/** No slot is held for it, so nothing bounds how many such there are: it does not wait for a broker that takes nothing. */
	readonly isHasty?: boolean;
}

/** A request names the queue for its reply, and may come from anybody: nothing is published anywhere else. */
export function isReplyQueue(name: string): boolean {
	return REPLY_QUEUE.test(name);
}

/**
 * Sends the replies of a server (AMQPIncomingMessage.reply and ObsoleteReplyQueuesCache of
 * oslo_messaging/_drivers/amqpdriver.py). The queue that is missing may be that of a caller who is reconnecting, so its
 * reply is tried again; unlike in Python nobody waits for that, so that dead callers do not slow down the others. What is known to be
 * missing is tried once, because Python waits six times as long before it calls a queue so: the caller may have come back since.
 */
export class Replies {
	readonly counts: ReplyCounts = noReplies();
	readonly #transport: RepliesOptions["transport"];
	readonly #log: Log;
	readonly #warnOfHostile: (text: string) => void;
	readonly #patience: number;
	readonly #missing = new LRUCache<string, true>(MISSING_QUEUES);
	readonly #waiting = new Set<Promise<void>>();
	#waitingBytes = 0;
	/** Set when the server stops, on the clock of `performance.now()`. */
	#endBy: number | undefined;

	constructor({ transport, log, missingQueuePatience }: RepliesOptions) {
		this.#transport = transport;
		this.#log = log;
		this.#warnOfHostile = sparing((text) => log.warning(text));
		this.#patience = missingQueuePatience * 1000;
	}

	/**
	 * Resolves when the reply has arrived, or is dropped, or waits for its queue, which is missing or full: then there is nothing more
	 * to do for the request.
	 */
	async send(queue: string, reply: Buffer, { answerBy, isHasty = false }: Patience): Promise<void> {
		if (!isReplyQueue(queue)) {
			this.counts.dropped++;
			this.#warnOfHostile(`dropping a reply to ${JSON.stringify(queue.slice(0, 40))}, which is no reply queue`);
			return;
		}
		if (isHasty && this.#isStuck()) return this.#drop(`to ${queue}: its time is up, and the broker takes nothing`);
		for (;;) {
			const outcome = await this.#try(queue, reply, Math.max(answerBy - performance.now(), SHORTEST_TRY_MS));
			if (outcome === "routed") {
				this.#missing.delete(queue);
				return this.#confirmed();
			}
			if (outcome === "unroutable") {
				if (this.#missing.has(queue)) return this.#drop(`to ${queue}, which was missing a moment ago`);
				return this.#wait(queue, reply, answerBy);
			}
			// No slot is held for a queue that is full, unless there are many: a quorum queue may only be without a leader.
			if (outcome instanceof MessageRefused && !this.#isCrowdedFor(reply)) return this.#wait(queue, reply, answerBy);
			if (outcome instanceof MessageTooLarge) return this.#drop(`to ${queue}: ${outcome.message}`);
			if (performance.now() >= answerBy) return this.#late(queue, outcome);
			await sleep(RETRY_MS);
		}
	}

	/** Resolves when no reply waits for its queue any more, or for the broker: in little more than two seconds, whatever there was. */
	async settled(): Promise<void> {
		const patience = Math.min(this.#patience, STOP_MS);
		this.#endBy = performance.now() + patience;
		const over = sleep(patience + RETRY_MS, undefined, { ref: false });
		await Promise.race([Promise.all(this.#waiting), over]);
	}

	#isCrowdedFor(reply: Buffer): boolean {
		return this.#waiting.size >= MAX_WAITING.replies || this.#waitingBytes + reply.length > MAX_WAITING.bytes;
	}

	#isStuck(): boolean {
		const { connected, blocked } = this.#transport.state();
		return connected === undefined || blocked;
	}

	#wait(queue: string, reply: Buffer, answerBy: number): void {
		if (this.#isCrowdedFor(reply)) {
			this.#drop(`to ${queue}: it is missing, and ${this.#waiting.size} replies wait for such queues already`);
			return;
		}
		this.#waitingBytes += reply.length;
		const waiting = this.#tryAgain(queue, reply, answerBy)
			.catch((error: unknown) => this.#log.error(`dropping a reply to ${queue}: ${String(error)}`))
			.finally(() => {
				this.#waiting.delete(waiting);
				this.#waitingBytes -= reply.length;
			});
		this.#waiting.add(waiting);
	}

	async #tryAgain(queue: string, reply: Buffer, answerBy: number): Promise<void> {
		const own = performance.now() + this.#patience;
		/** Why it could not be tried: without a broker nobody knows whether the queue is missing. */
		let failure: MessageDeliveryFailure | undefined;
		const left = () => {
			const returned = (this.#transport.resumedAt() ?? Number.NEGATIVE_INFINITY) + RETURN_MS;
			const until = this.#endBy ? Math.min(own, this.#endBy) : Math.max(own, returned, failure ? answerBy : own);
			return until - performance.now();
		};
		while (left() > 0) {
			const pause = RETRY_MS * Math.max(1, this.#waitingBytes / RETRY_BYTES);
			// A timer may be a millisecond early, and the last try would be made again and again.
			await sleep(Math.min(pause, Math.ceil(left()) + 1));
			if (this.#missing.has(queue)) break;
			const outcome = await this.#try(queue, reply, Math.max(left(), RETRY_MS));
			if (outcome === "routed") return this.#confirmed();
			failure = outcome === "unroutable" ? undefined : outcome;
		}
		if (failure) return this.#late(queue, failure);
		this.counts.returned++;
		this.#missing.set(queue, true);
		this.#log.warning(`dropping a reply: the queue ${queue} does not exist`);
	}

	#drop(why: string): void {
		this.counts.dropped++;
		this.#log.warning(`dropping a reply ${why}`);
	}

	#confirmed(): void {
		this.counts.confirmed++;
	}

	#late(queue: string, { message }: MessageDeliveryFailure): void {
		this.counts.timeout++;
		this.#log.warning(`dropping a reply to ${queue}: ${message}`);
	}

	async #try(queue: string, reply: Buffer, timeout: number): Promise<"routed" | "unroutable" | MessageDeliveryFailure> {
		try {
			return await this.#transport.publish({ kind: "reply", queue }, reply, { timeout });
		} catch (error) {
			if (error instanceof MessageDeliveryFailure) return error;
			throw error;
		}
	}
}
