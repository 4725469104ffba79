import { MessageRefused, MessageTooLarge } from "../errors.ts";
import type { Log } from "../log.ts";
import { newId } from "../message.ts";
import { sparing } from "../sparing.ts";
import type { Destination, PublishOptions } from "../transport.ts";
import { declareOnly, isRefused } from "./declare.ts";
import { explain, largestTaken } from "./faults.ts";
import type { RabbitOptions } from "./options.ts";
import type { ChannelModel, ConfirmChannel } from "./rabbit.ts";
import { until } from "./supervisor.ts";
import { exchangeFor } from "./topology.ts";

/** A channel with confirms, and what it has to do yet. */
interface Opened {
	readonly channel: ConfirmChannel;
	/** On the clock of `performance.now()`. */
	readonly since: number;
	/** `message_id` of what the broker could not route, between `basic.return` and its confirm. */
	readonly returned: Set<string>;
	unconfirmed: number;
	/** Why the broker has closed it. */
	refusal?: Error;
}

/** Milliseconds: a queue may refuse every message, and no other channel helps against that. */
const SHORTEST_USE_MS = 200;
/** Between attempts to reply when this user may not: each costs the broker a channel, and a line of its log. */
const REFUSED_MS = 5_000;
const NOBODY: Destination = { kind: "reply", queue: "" };

/**
 * Publishes with confirms, on a channel for each exchange: one that refuses us takes no messages to others along. A channel that the
 * broker closes is replaced at the next message, and so is one that has a message refused: what meets a quorum queue without a leader
 * first is refused everything from then on (`enqueue` in deps/rabbit/src/rabbit_fifo_client.erl of RabbitMQ 3.10, which remembers the
 * node that is down).
 */
export class Publisher {
	readonly #connection: ChannelModel;
	readonly #options: RabbitOptions;
	readonly #log: Log;
	readonly #lost: AbortSignal;
	readonly #warnOfRefusal: (text: string) => void;
	readonly #declared = new Map<string, Promise<void>>();
	readonly #opened = new Map<string, Promise<Opened>>();
	/** Of the broker's `max_message_size`, once it has refused a message: each costs all that are on its channel. */
	#limit: { readonly bytes: number; readonly why: string } | undefined;
	/** Why this user may reply to nobody. */
	#mute: Error | undefined;

	constructor(connection: ChannelModel, options: RabbitOptions, log: Log, lost: AbortSignal) {
		this.#connection = connection;
		this.#options = options;
		this.#log = log;
		this.#lost = lost;
		this.#warnOfRefusal = sparing((text) => log.warning(text));
	}

	/** The broker takes no replies of this user, whoever they are for. */
	get isMute(): boolean {
		return this.#mute !== undefined;
	}

	/**
	 * As Python does before the first message to an exchange (Connection._publish of oslo_messaging/_drivers/impl_rabbit.py); each time
	 * for a fanout, which goes with its last queue.
	 */
	async declareFor(to: Destination): Promise<void> {
		const exchange = exchangeFor(to, this.#options);
		if (exchange === undefined) return;
		const { name, type } = exchange;
		const declared = this.#declared.get(name) ?? declareOnly(this.#connection, [exchange], this.#log);
		if (type === "topic") this.#declared.set(name, declared);
		await declared.catch((error: unknown) => {
			this.#declared.delete(name);
			throw error;
		});
	}

	async send(to: Destination, body: Buffer, options: PublishOptions): Promise<"routed" | "unroutable"> {
		if (to.kind === "reply" && this.#mute) throw this.#mute;
		return this.#send(to, body, options);
	}

	async #send(
		to: Destination,
		body: Buffer,
		{ expiration, traceparent, onSent }: Omit<PublishOptions, "timeout">,
	): Promise<"routed" | "unroutable"> {
		if (this.#limit && body.length > this.#limit.bytes) throw new MessageTooLarge(this.#limit.why);
		const [exchange, key] = addressOf(to);
		const messageId = newId();
		const options = {
			contentType: "application/json",
			contentEncoding: "utf-8",
			headers: traceparent === undefined ? {} : { traceparent },
			deliveryMode: 2,
			priority: 0,
			messageId,
			mandatory: to.kind !== "reply" || this.#options.direct_mandatory_flag,
			...(expiration !== undefined && { expiration: String(Math.trunc(expiration)) }),
		};
		const opening = this.#opened.get(exchange) ?? this.#open(exchange);
		const opened = await opening;
		opened.unconfirmed++;
		onSent?.();
		return new Promise((resolve, reject) => {
			opened.channel.publish(exchange, key, body, options, (error: unknown) => {
				opened.unconfirmed--;
				if (error && performance.now() - opened.since > SHORTEST_USE_MS) this.#forget(exchange, opening);
				// A channel that is replaced is closed when all that it has sent is answered.
				if (opened.unconfirmed === 0 && this.#opened.get(exchange) !== opening)
					void opened.channel.close().catch(() => undefined);
				// RabbitMQ confirms what it could not route too; the return comes before the confirm.
				if (error) reject(failureOf(error, opened));
				else resolve(opened.returned.delete(messageId) ? "unroutable" : "routed");
			});
		});
	}

	#open(exchange: string): Promise<Opened> {
		const opening = this.#connection.createConfirmChannel().then((channel) => {
			const returned = new Set<string>();
			const opened: Opened = { channel, since: performance.now(), returned, unconfirmed: 0 };
			channel.on("return", ({ properties }) => returned.add(properties.messageId));
			channel.on("error", (error: Error) => {
				opened.refusal = new Error(explain(error).text);
				const bytes = largestTaken(error);
				if (bytes !== undefined) this.#limit = { bytes, why: opened.refusal.message };
				this.#warnOfRefusal(`publishing: ${opened.refusal.message}`);
				if (exchange === "" && isRefused(error)) void this.#fallMute(opened.refusal);
			});
			channel.on("close", () => this.#forget(exchange, opening));
			return opened;
		});
		this.#opened.set(exchange, opening);
		opening.catch(() => this.#forget(exchange, opening));
		return opening;
	}

	/** Until the broker takes a message to nobody: there may be no reply for long. */
	async #fallMute(why: Error): Promise<void> {
		if (this.#mute) return;
		this.#mute = why;
		while (this.#mute && !this.#lost.aborted) {
			await until([this.#lost], REFUSED_MS);
			const taken = this.#send(NOBODY, Buffer.alloc(0), {}).then(() => true);
			if (await taken.catch(() => false)) this.#mute = undefined;
		}
		if (!this.#mute) this.#log.info("publishing: replies are taken again");
	}

	#forget(exchange: string, opening: Promise<Opened>): void {
		if (this.#opened.get(exchange) !== opening) return;
		this.#opened.delete(exchange);
		// What it is replaced for may be that somebody has deleted the exchange.
		this.#declared.delete(exchange);
	}
}

/** What amqplib says of a message that the broker refuses is in its lib/channel.js. */
function failureOf(error: unknown, { refusal }: Opened): unknown {
	const isRefused = error instanceof Error && error.message === "message nacked";
	return isRefused
		? new MessageRefused("refused by the broker: a queue for it is full, or has no leader")
		: (refusal ?? error);
}

function addressOf(to: Destination): readonly [exchange: string, key: string] {
	if (to.kind === "reply") return ["", to.queue];
	return to.kind === "fanout" ? [to.exchange, ""] : [to.exchange, to.key];
}
