import { declare } from "./declare.ts";
import type { Log } from "./log.ts";
import { newId } from "./message.ts";
import type { ChannelModel, ConfirmChannel } from "./rabbit.ts";
import type { RabbitOptions } from "./rabbit-options.ts";
import { exchangeFor } from "./topology.ts";
import type { Destination } from "./transport.ts";

/** Publishes with confirms. A channel that the broker closes is replaced at the next message. */
export class Publisher {
	readonly #connection: ChannelModel;
	readonly #options: RabbitOptions;
	readonly #log: Log;
	readonly #declared = new Map<string, Promise<void>>();
	/** `message_id` of what the broker could not route, between `basic.return` and its confirm. */
	readonly #returned = new Set<string>();
	#channel: Promise<ConfirmChannel> | undefined;

	constructor(connection: ChannelModel, options: RabbitOptions, log: Log) {
		this.#connection = connection;
		this.#options = options;
		this.#log = log;
	}

	/** As Python does before the first message to an exchange; each time for a fanout, which goes with its last queue. */
	async declareFor(to: Destination): Promise<void> {
		const exchange = exchangeFor(to, this.#options);
		if (exchange === undefined) return;
		const { name, type } = exchange;
		const declared =
			this.#declared.get(name) ?? declare(this.#connection, [exchange], this.#log).then((channel) => channel.close());
		if (type === "topic") this.#declared.set(name, declared);
		await declared.catch((error: unknown) => {
			this.#declared.delete(name);
			throw error;
		});
	}

	async send(to: Destination, body: Buffer, expiration: number | undefined): Promise<"routed" | "unroutable"> {
		const [exchange, key] = addressOf(to);
		const messageId = newId();
		const options = {
			contentType: "application/json",
			contentEncoding: "utf-8",
			headers: {},
			deliveryMode: 2,
			priority: 0,
			messageId,
			mandatory: to.kind !== "reply" || this.#options.direct_mandatory_flag,
			...(expiration !== undefined && { expiration: String(Math.trunc(expiration)) }),
		};
		this.#channel ??= this.#openChannel();
		const channel = await this.#channel;
		return new Promise((resolve, reject) => {
			channel.publish(exchange, key, body, options, (error: unknown) => {
				// RabbitMQ confirms what it could not route too; the return comes before the confirm.
				if (error) reject(error);
				else resolve(this.#returned.delete(messageId) ? "unroutable" : "routed");
			});
		});
	}

	async #openChannel(): Promise<ConfirmChannel> {
		try {
			const channel = await this.#connection.createConfirmChannel();
			channel.on("return", ({ properties }) => this.#returned.add(properties.messageId));
			channel.on("error", (error: Error) => this.#log.warning(`publishing: ${error.message}`));
			channel.on("close", () => this.#forget());
			return channel;
		} catch (error) {
			this.#forget();
			throw error;
		}
	}

	#forget(): void {
		this.#channel = undefined;
		this.#returned.clear();
		// What it was closed for may be an exchange that somebody has deleted.
		this.#declared.clear();
	}
}

function addressOf(to: Destination): readonly [exchange: string, key: string] {
	if (to.kind === "reply") return ["", to.queue];
	return to.kind === "fanout" ? [to.exchange, ""] : [to.exchange, to.key];
}
