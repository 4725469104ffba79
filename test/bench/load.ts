import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import amqp, { type Channel, type ChannelModel } from "amqplib";

/** One server under load for some seconds. */
export interface Run {
	/** Right answers per second, without those that came after the time was up. */
	readonly rate: number;
	/** Milliseconds from request to answer, one per right answer. */
	readonly latencies: readonly number[];
	readonly wrong: number;
	readonly lost: number;
}

export interface RunOptions {
	readonly topic: string;
	readonly inFlight: number;
	readonly seconds: number;
	/** What `ask` must return. */
	readonly expected: string;
}

interface Reply {
	readonly _msg_id: string;
	readonly result: unknown;
	readonly failure: string | null;
}

const EXCHANGE = "nova";
/** Servers promise an answer within 15 s. */
const LOST_AFTER_MS = 20_000;
/** Stands for the ids of a request, which is encoded once only: the generator should not be what is measured. */
const ANY_ID = "0".repeat(32);

/** Calls RPC servers in a closed loop, with nothing of ours in between: amqplib and the bytes that oslo.messaging sends. */
export class LoadGenerator {
	readonly brokerVersion: string;
	readonly requestBytes: number;
	readonly #channel: Channel;
	readonly #request: string;
	/** Who waits for which reply, by `_msg_id`. */
	readonly #waiting = new Map<string, (answer: string) => void>();
	/** Replies that nobody waits for: second ones, or to ids that we never sent. */
	#strays = 0;

	/** `fields`: the message to send each time, without the ids of a call. */
	static async start(connection: ChannelModel, fields: Readonly<Record<string, unknown>>): Promise<LoadGenerator> {
		const replyQueue = `reply_${newId()}`;
		const channel = await connection.createChannel();
		await channel.assertQueue(replyQueue, { durable: false, exclusive: true });
		const call = { ...fields, _msg_id: ANY_ID, _unique_id: ANY_ID, _reply_q: replyQueue, _timeout: null };
		const request = JSON.stringify({ "oslo.version": "2.0", "oslo.message": JSON.stringify(call) });
		const generator = new LoadGenerator(channel, request, String(connection.connection.serverProperties.version));
		await channel.consume(replyQueue, (message) => message && generator.#onReply(message.content), { noAck: true });
		return generator;
	}

	private constructor(channel: Channel, request: string, brokerVersion: string) {
		this.#channel = channel;
		this.#request = request;
		this.brokerVersion = brokerVersion;
		this.requestBytes = Buffer.byteLength(request);
	}

	/** Keeps so many calls in flight for so long, and checks every answer. */
	async run({ topic, inFlight, seconds, expected }: RunOptions): Promise<Run> {
		const latencies: number[] = [];
		let inTime = 0;
		let wrong = 0;
		let lost = 0;
		const end = performance.now() + seconds * 1000;
		const caller = async () => {
			for (let started = performance.now(); started < end; started = performance.now()) {
				const answer = await this.ask(topic);
				const finished = performance.now();
				if (answer === expected) {
					latencies.push(finished - started);
					if (finished <= end) inTime++;
				} else if (answer === undefined) {
					lost++;
				} else if (wrong++ === 0) {
					process.stderr.write(`wrong answer on ${topic}: ${answer}\n`);
				}
			}
		};
		await Promise.all(Array.from({ length: inFlight }, caller));
		wrong += this.#strays;
		this.#strays = 0;
		return { rate: inTime / seconds, latencies, wrong, lost };
	}

	/** One call: its result as JSON, the failure, or undefined when no reply came. */
	async ask(topic: string): Promise<string | undefined> {
		const id = newId();
		return new Promise((resolve) => {
			const giveUp = setTimeout(() => {
				this.#waiting.delete(id);
				resolve(undefined);
			}, LOST_AFTER_MS);
			this.#waiting.set(id, (answer) => {
				clearTimeout(giveUp);
				this.#waiting.delete(id);
				resolve(answer);
			});
			this.#channel.publish(EXCHANGE, topic, Buffer.from(this.#request.replaceAll(ANY_ID, id)), {
				contentType: "application/json",
				contentEncoding: "utf-8",
				deliveryMode: 2,
				expiration: LOST_AFTER_MS,
			});
		});
	}

	#onReply(body: Buffer): void {
		const { "oslo.message": text } = JSON.parse(body.toString()) as { readonly "oslo.message": string };
		const { _msg_id, result, failure } = JSON.parse(text) as Reply;
		const answer = this.#waiting.get(_msg_id);
		if (answer) answer(failure ?? JSON.stringify(result));
		else this.#strays++;
	}
}

/** Tries until the broker talks AMQP: an open port alone is too early. */
export async function connectWhenReady(url: string, patienceMs: number): Promise<ChannelModel> {
	const giveUp = performance.now() + patienceMs;
	for (;;) {
		try {
			return await amqp.connect(url, { noDelay: true, timeout: 1000 });
		} catch (error) {
			if (performance.now() > giveUp) throw error;
			await sleep(200);
		}
	}
}

function newId(): string {
	return randomUUID().replaceAll("-", "");
}
