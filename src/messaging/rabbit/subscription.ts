import { setTimeout as sleep } from "node:timers/promises";
import { deferred } from "../deferred.ts";
import type { Log } from "../log.ts";
import { MAX_BODY_BYTES } from "../message.ts";
import type { Delivery } from "../transport.ts";
import { Acknowledgements } from "./acknowledgements.ts";
import { limitBodies } from "./body-limit.ts";
import { declare, declareOnly, type Foreign, isDenied } from "./declare.ts";
import { explain } from "./faults.ts";
import type { Channel, ConsumeMessage } from "./rabbit.ts";
import { nameOf, type Session, watch } from "./session.ts";
import { isStream, StreamReader } from "./stream-reader.ts";
import { supervise, until } from "./supervisor.ts";
import type { Declaration } from "./topology.ts";
import type { TransportHost } from "./transport-url.ts";

/** Time for the broker to confirm that consumers are cancelled. */
const CANCEL_TIMEOUT_MS = 2_000;
/** Consumers notice that their queue is deleted, but not that an exchange or a binding is: they are back within ten seconds (promise P7). */
const REDECLARE_MS = 8_000;
/** After each, for the broker's sake: with a thousand subscriptions a round takes half a minute and more. */
const REDECLARE_PAUSE_MS = 30;
/** A broker takes a moment to answer, a busy one a second: one that takes longer keeps the connection and does nothing for us. */
const REDECLARE_TIMEOUT_MS = 10_000;

export interface SubscriptionOptions {
	readonly topology: readonly Declaration[];
	readonly prefetch: number;
	readonly onDelivery: (delivery: Delivery) => void;
	/** Called when it consumes again after it was lost: what was sent meanwhile may never come. */
	readonly onResumed?: (() => void) | undefined;
	readonly log: Log;
}

/** Consumers of one channel. They are set up again when they are lost, on the same session or on the next one. */
export class Subscription {
	readonly established = deferred<void>();
	readonly #options: SubscriptionOptions;
	readonly #cancelled = new AbortController();
	#session: Session | undefined;
	#wasEstablished = false;
	#served: Promise<void> = Promise.resolve();
	/** What is there otherwise than it would be declared here. */
	readonly #foreign: Foreign = new Map();
	#channel: Channel | undefined;
	/** Aborted when what was set up last is lost. */
	#lost: AbortSignal | undefined;
	readonly #stream = new StreamReader();
	/** Settles when the topology is not being redeclared. */
	#redeclaring: Promise<void> = Promise.resolve();
	/** Since when, if it is, on the clock of `performance.now()`. */
	#redeclaringSince = Number.POSITIVE_INFINITY;

	constructor(options: SubscriptionOptions) {
		this.#options = options;
	}

	get isConsuming(): boolean {
		const isAnswered = performance.now() - this.#redeclaringSince < REDECLARE_TIMEOUT_MS;
		return isAnswered && this.#lost?.aborted === false && !this.#cancelled.signal.aborted;
	}

	/** What is there with other arguments than ours: `queue migration_compat`. */
	inequivalent(): readonly string[] {
		return [...this.#foreign.values()].flatMap(({ what, why }) => (why === "inequivalent" ? [what] : []));
	}

	/** Keeps consuming for as long as the session lasts. */
	serve(session: Session): void {
		const { log } = this.#options;
		this.#session = session;
		const attend = () =>
			supervise({
				places: [session],
				strategy: "round-robin",
				nameOf: ({ host }) => this.#nameAt(host),
				open: () => this.#consume(session),
				explain,
				log,
				stop: AbortSignal.any([session.lost.signal, this.#cancelled.signal]),
			});
		this.#served = this.#served.then(attend);
	}

	/** No consumer is left when this is done, whatever was under way: a broker that does not answer is dropped. */
	async cancel(): Promise<void> {
		this.#cancelled.abort();
		const hung = () => this.#session?.lost.abort(new Error("no answer to a cancelled consumer"));
		const timer = setTimeout(hung, CANCEL_TIMEOUT_MS);
		await this.#served;
		// What is under way would bring back a queue that is deleted here.
		await this.#redeclaring.catch(() => undefined);
		// A queue that is deleted cancels its consumers, which would count as a loss: those first.
		const goodbyes = this.#options.topology.toReversed().map((step): Promise<unknown> | undefined => {
			if (step.kind === "consume") return this.#channel?.cancel(step.tag);
			return step.kind === "queue" && step.deletedAtStop ? this.#channel?.deleteQueue(step.name) : undefined;
		});
		// A connection that is gone takes its consumers with it.
		await Promise.all(goodbyes).catch(() => undefined);
		clearTimeout(timer);
	}

	#nameAt(host: TransportHost): string {
		const queues = this.#options.topology.flatMap((step) => (step.kind === "consume" ? [step.queue] : []));
		return `${queues.join(", ")} at ${nameOf(host)}`;
	}

	async #consume(session: Session): Promise<AbortSignal> {
		const { topology, prefetch, log } = this.#options;
		const channel = await declare(session.consuming, topology, log, this.#foreign);
		const lost = new AbortController();
		watch(channel, lost);
		// Its other consumers would live on beside their successors.
		lost.signal.addEventListener("abort", () => void channel.close().catch(() => undefined));
		if (prefetch > 0) await channel.prefetch(prefetch);
		const sizeOfLarge = limitBodies(channel, MAX_BODY_BYTES);
		const acknowledgements = new Acknowledgements(channel, () => lost.signal.aborted);
		const take = (message: ConsumeMessage | null) => {
			if (message === null) {
				return lost.abort(new Error("the broker cancelled a consumer: its queue was deleted or has moved"));
			}
			const open = acknowledgements.add(message);
			const settling: Settling = {
				ack: () => acknowledgements.ack(open),
				reject: () => acknowledgements.giveUp(open, false),
				requeue: () => acknowledgements.giveUp(open, true),
			};
			try {
				this.#options.onDelivery(deliveryOf(message, settling, sizeOfLarge(message)));
			} catch (error) {
				// amqplib would close the channel, and the broker hand the message out again. What an error says may be of the message.
				if (open.state === "open") settling.reject();
				const name = error instanceof Error ? error.name : typeof error;
				log.error(`rejecting a message that could not be taken: ${name}`);
			}
		};
		const skip = (message: ConsumeMessage) => void acknowledgements.ack(acknowledgements.add(message));
		for (const step of topology) {
			if (step.kind !== "consume") continue;
			// A message of another queue has the headers that its sender has chosen.
			if (isStream(step)) await this.#stream.consume(channel, step, { take, skip }, lost);
			else await channel.consume(step.queue, take, { consumerTag: step.tag, arguments: step.arguments });
		}
		this.#redeclare(session, lost);
		this.#channel = channel;
		this.#lost = lost.signal;
		if (this.#wasEstablished) this.#options.onResumed?.();
		this.#wasEstablished = true;
		this.established.resolve();
		return lost.signal;
	}

	#redeclare(session: Session, lost: AbortController): void {
		const { topology, log } = this.#options;
		const again = async () => {
			if (lost.signal.aborted || this.#cancelled.signal.aborted) return;
			if (performance.now() < session.redeclaring.notBefore) return;
			this.#redeclaringSince = performance.now();
			this.#redeclaring = declareOnly(session.consuming, topology, log, this.#foreign).finally(() => {
				this.#redeclaringSince = Number.POSITIVE_INFINITY;
			});
			await this.#redeclaring;
		};
		const failed = (error: unknown) => {
			// It could not be set up again either: nothing would be consumed any more.
			if (isDenied(error)) log.error(`${this.#nameAt(session.host)}: ${explain(error).text}; still consumed`);
			else lost.abort(error);
		};
		let isWaiting = false;
		const ended = () => {
			isWaiting = false;
			return sleep(REDECLARE_PAUSE_MS);
		};
		const timer = setInterval(() => {
			if (isWaiting) return;
			isWaiting = true;
			session.redeclared = session.redeclared.then(again).catch(failed).then(ended);
		}, REDECLARE_MS);
		// Leaves no listener behind: that of a signal which outlives them all would keep each connection.
		void until([lost.signal, this.#cancelled.signal]).then(() => clearInterval(timer));
	}
}

type Settling = Pick<Delivery, "ack" | "reject" | "requeue">;

function deliveryOf(message: ConsumeMessage, settling: Settling, tooLarge: number | undefined): Delivery {
	const { contentType, expiration, headers } = message.properties;
	return {
		routingKey: message.fields.routingKey,
		body: message.content,
		...(tooLarge !== undefined && { tooLarge }),
		contentType,
		compression: textOf(headers?.["compression"]),
		traceparent: textOf(headers?.["traceparent"]),
		expiration,
		redelivered: message.fields.redelivered,
		...settling,
	};
}

function textOf(header: unknown): string | undefined {
	return typeof header === "string" ? header : undefined;
}
