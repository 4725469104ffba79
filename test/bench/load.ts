import { setTimeout as sleep } from "node:timers/promises";
import amqp, { type Channel, type ChannelModel } from "amqplib";
import { coalesceWrites } from "../../src/messaging/rabbit/coalesced-writes.ts";
import { ClosedLoop, type Load, type Run, TIMEOUT_S } from "./closed-loop.ts";
import { fill, newId, type ReplyTemplate, readReply, requestTemplate, type Template } from "./template.ts";

export interface Callee {
	readonly topic: string;
	/** The request without ids; CALL_ID in it stands for the id of the call. */
	readonly fields: Readonly<Record<string, unknown>>;
}

/** A callee whose first answer was right. */
export interface Verified {
	readonly topic: string;
	readonly request: Template;
	readonly reply: ReplyTemplate;
	readonly result: unknown;
}

const EXCHANGE = "nova";
const BROKER_PATIENCE_MS = 60_000;

/**
 * Calls RPC servers with nothing of ours in between but how frames are written, which spares all of them its part of the
 * processors: amqplib and the bytes that oslo.messaging sends.
 */
export class LoadGenerator {
	readonly brokerVersion: string;
	readonly #channel: Channel;
	readonly #replyQueue: string;
	#onReply: (body: Buffer) => void = () => undefined;

	static async start(url: string): Promise<LoadGenerator> {
		const connection = await connectWhenReady(url);
		coalesceWrites(connection);
		const replyQueue = `reply_${newId()}`;
		const channel = await connection.createChannel();
		await channel.assertQueue(replyQueue, { durable: false, exclusive: true });
		const version = String(connection.connection.serverProperties.version);
		const generator = new LoadGenerator(channel, replyQueue, version);
		await channel.consume(replyQueue, (message) => message && generator.#onReply(message.content), { noAck: true });
		return generator;
	}

	private constructor(channel: Channel, replyQueue: string, brokerVersion: string) {
		this.#channel = channel;
		this.#replyQueue = replyQueue;
		this.brokerVersion = brokerVersion;
	}

	/** Calls once and looks at every field of the reply; throws unless its result is right. */
	async verify({ topic, fields }: Callee, isRight: (result: unknown, id: string) => boolean): Promise<Verified> {
		const request = requestTemplate({ ...fields, _reply_q: this.#replyQueue });
		let id = "";
		const body = await new Promise<Buffer>((resolve, reject) => {
			this.#onReply = resolve;
			id = this.#send(topic, request, TIMEOUT_S);
			setTimeout(() => reject(new Error(`${topic} does not answer`)), TIMEOUT_S * 1000).unref();
		});
		const { result, template } = readReply(body, id);
		if (!isRight(result, id)) throw new Error(`wrong answer on ${topic}: ${body}`);
		return { topic, request, reply: template, result };
	}

	/** Puts the load on a server and checks every answer. One run at a time. */
	async run({ topic, request, reply }: Verified, load: Load): Promise<Run> {
		const loop = new ClosedLoop(() => this.#send(topic, request, load.timeout ?? TIMEOUT_S), reply, load);
		this.#onReply = (body) => loop.accept(body);
		return loop.run();
	}

	/** How many messages wait in the queue of a topic. */
	async backlog(topic: string): Promise<number> {
		return (await this.#channel.checkQueue(topic)).messageCount;
	}

	#send(topic: string, request: Template, timeout: number): string {
		const id = newId();
		// amqplib copies the body into its frames before it returns.
		this.#channel.publish(EXCHANGE, topic, fill(request, id), {
			contentType: "application/json",
			contentEncoding: "utf-8",
			deliveryMode: 2,
			expiration: timeout * 1000,
		});
		return id;
	}
}

/** Tries until the broker talks AMQP: an open port alone is too early. */
async function connectWhenReady(url: string): Promise<ChannelModel> {
	for (const giveUp = performance.now() + BROKER_PATIENCE_MS; ; await sleep(200)) {
		try {
			return await amqp.connect(url, { noDelay: true, timeout: 1000 });
		} catch (error) {
			if (performance.now() > giveUp) throw error;
		}
	}
}
