import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import amqp, { type ChannelModel, type ConfirmChannel, type Options } from "amqplib";
import { toJson } from "../../src/messaging/json.ts";
import type { Answer, Asked, Expected } from "./history.ts";

interface Address {
	readonly exchange?: string;
	readonly key: string;
	/** What the caller waits for, in milliseconds; RabbitMQ drops the message then. */
	readonly expiration?: number;
}

export interface Question extends Address {
	/** Fields of the message besides the ids of a call. */
	readonly fields: Readonly<Record<string, unknown>>;
	readonly expected?: Expected | undefined;
	/** The same as that of an earlier question: a duplicate. */
	readonly ids?: Ids;
	/** Instead of one's own. */
	readonly replyQueue?: string;
}

interface Ids {
	readonly msgId: string;
	readonly uniqueId: string;
}

/** The service writes the line of a check a moment after its answer. */
const UNTIL_LOGGED_MS = 50;
const EXCHANGE = "nova";
const EXPIRATION_MS = 30_000;
const MAX_BUDGET_MS = 15_000;
const RETRY_MS = 100;
const SETUP_MS = 3_000;
const QUEUE = { durable: false, exclusive: false, autoDelete: false, arguments: { "x-expires": 1_800_000 } };

/** Asks as Nova does, with nothing of ours in between, survives its broker, and writes down all that comes back. */
export class Caller {
	readonly asked: Asked[] = [];
	readonly answers: Answer[] = [];
	/** Every reply as text, for secrets. */
	readonly texts: string[] = [];
	readonly replyQueue: string;
	readonly #urls: readonly string[];
	readonly #queue: Options.AssertQueue;
	#connection: ChannelModel | undefined;
	#channel: ConfirmChannel | undefined;
	#broker: string | undefined;
	#closed = false;
	#onAnswer: (() => void)[] = [];

	/** `urls`: brokers of one cluster, tried in turn. */
	static async start(urls: string | readonly string[], queue: Options.AssertQueue = QUEUE): Promise<Caller> {
		const caller = new Caller([urls].flat(), queue);
		await caller.#connect();
		return caller;
	}

	private constructor(urls: readonly string[], queue: Options.AssertQueue) {
		this.#urls = urls.map((url) => url.replace(/^rabbit:/, "amqp:"));
		this.#queue = queue;
		this.replyQueue = `reply_${newId()}`;
	}

	/** The broker to which it is connected, if any. */
	get broker(): string | undefined {
		return this.#channel && this.#broker;
	}

	/** Sends a call, and does not wait for the broker; the ids of it. */
	async ask(question: Question): Promise<Ids> {
		const ids = question.ids ?? { msgId: newId(), uniqueId: newId() };
		await this.channel();
		this.#ask({ ...question, ids }).catch(() => undefined);
		return ids;
	}

	/** Sends a call until the broker has confirmed it, with the same ids each time. */
	async askForCertain(question: Question): Promise<Ids> {
		const ids = question.ids ?? { msgId: newId(), uniqueId: newId() };
		while (!(await this.#ask({ ...question, ids }))) await sleep(RETRY_MS);
		return ids;
	}

	/** Sends any body; it does not expire unless it is told to. */
	async publish(body: string | Buffer, to: Address, properties: Options.Publish = {}): Promise<void> {
		await this.#send(body, to, properties);
	}

	/** The open channel, as soon as there is one. */
	async channel(): Promise<ConfirmChannel> {
		while (this.#channel === undefined) await sleep(RETRY_MS);
		return this.#channel;
	}

	/** The answer to a call; undefined when none came in time. */
	async answer(msgId: string, patience: number): Promise<Answer | undefined> {
		const giveUp = performance.now() + patience;
		for (;;) {
			const found = this.answers.find(({ id, ending }) => id === msgId && ending);
			const left = giveUp - performance.now();
			if (found || left <= 0) return found;
			await new Promise<void>((resolve) => {
				const timer = setTimeout(resolve, left);
				this.#onAnswer.push(() => {
					clearTimeout(timer);
					resolve();
				});
			});
		}
	}

	/** Asks again and again until there is an answer: milliseconds that it took. */
	async untilAnswered(question: Question, patience = 30_000): Promise<number> {
		const start = performance.now();
		while (performance.now() - start < patience) {
			const { msgId } = await this.ask({ ...question, expiration: 4_000 });
			if (!(await this.answer(msgId, 250))) continue;
			const taken = performance.now() - start;
			await sleep(UNTIL_LOGGED_MS);
			return taken;
		}
		throw new Error(`no answer within ${patience} ms`);
	}

	/** Resolves when every call so far has its answer, or when the patience is at its end. */
	async settle(patience: number): Promise<void> {
		const giveUp = performance.now() + patience;
		for (const { id } of this.asked) await this.answer(id, Math.max(0, giveUp - performance.now()));
		await sleep(UNTIL_LOGGED_MS);
	}

	async close(): Promise<void> {
		this.#closed = true;
		await this.#connection?.close().catch(() => undefined);
	}

	/** Whether the broker has confirmed the call. */
	async #ask({ fields, ids, replyQueue, expected, ...to }: Question & { readonly ids: Ids }): Promise<boolean> {
		const { expiration = EXPIRATION_MS } = to;
		const isOurs = replyQueue === undefined && !this.asked.some(({ id }) => id === ids.msgId);
		const budget = Math.min(MAX_BUDGET_MS, expiration / 2);
		const asked = { id: ids.msgId, sentAt: performance.now(), budget, ...(expected && { expected }) };
		if (isOurs) this.asked.push(asked);
		const call = { _msg_id: ids.msgId, _reply_q: replyQueue ?? this.replyQueue, _timeout: null };
		const message = toJson({ ...call, ...fields, _unique_id: ids.uniqueId });
		const { confirmed } = await this.#send(envelope(message), { ...to, expiration });
		const isConfirmed = await confirmed;
		// A channel from between two leaders of a quorum queue is refused every message, for as long as it lives.
		if (!isConfirmed) await this.#connection?.close().catch(() => undefined);
		return isConfirmed;
	}

	async #send(
		body: string | Buffer,
		{ exchange = EXCHANGE, key, expiration }: Address,
		properties: Options.Publish = {},
	) {
		const channel = await this.channel();
		const usual = { contentType: "application/json", contentEncoding: "utf-8", headers: {}, deliveryMode: 2 };
		const options = { ...usual, ...(expiration !== undefined && { expiration }), ...properties };
		const confirmed = new Promise<boolean>((resolve) => {
			try {
				channel.publish(exchange, key, Buffer.from(body), options, (error: unknown) => resolve(!error));
			} catch {
				// The channel has just gone.
				resolve(false);
			}
		});
		return { confirmed };
	}

	async #connect(): Promise<void> {
		for (let turn = 0; !this.#closed; turn++) {
			try {
				return await this.#open(this.#urls[turn % this.#urls.length] ?? "");
			} catch {
				await sleep(RETRY_MS);
			}
		}
	}

	async #open(url: string): Promise<void> {
		const connection = await amqp.connect(url, { noDelay: true, timeout: 3_000 });
		// While a quorum queue has no leader the broker may leave a declaration without an answer.
		const giveUp = setTimeout(() => connection.close().catch(() => undefined), SETUP_MS);
		const lost = () => {
			if (this.#connection !== connection) return;
			this.#connection = undefined;
			this.#channel = undefined;
			if (!this.#closed) this.#connect().catch(() => undefined);
		};
		connection.on("error", () => undefined).on("close", lost);
		const channel = await connection.createConfirmChannel();
		channel.on("error", () => undefined).on("close", () => connection.close().catch(() => undefined));
		await channel.assertExchange(EXCHANGE, "topic", { durable: this.#queue.durable ?? false, autoDelete: false });
		await channel.assertQueue(this.replyQueue, this.#queue);
		await channel.consume(this.replyQueue, (message) => {
			if (message === null) return lost();
			channel.ack(message);
			this.#onReply(message.content);
		});
		clearTimeout(giveUp);
		[this.#connection, this.#channel, this.#broker] = [connection, channel, url];
	}

	#onReply(body: Buffer): void {
		const text = body.toString();
		this.texts.push(text);
		const { "oslo.message": inner } = JSON.parse(text) as { readonly "oslo.message": string };
		const { _msg_id: id, result, failure, ending } = JSON.parse(strict(inner)) as Answer & { readonly _msg_id: string };
		this.answers.push({ id, at: performance.now(), result, failure, ending });
		for (const wake of this.#onAnswer.splice(0)) wake();
	}
}

/** Python's JSON has words for what is no number; nothing that is compared has them in a string. */
function strict(json: string): string {
	return json.replace(/-?\b(NaN|Infinity)\b/g, "null");
}

/** Puts the text of a message into oslo.messaging's envelope. */
export function envelope(message: string, version: unknown = "2.0"): string {
	return JSON.stringify({ "oslo.version": version, "oslo.message": message });
}

export function newId(): string {
	return randomUUID().replaceAll("-", "");
}
