import { randomUUID } from "node:crypto";
import type { Log } from "./log.ts";
import { contextFields, newId, sealEnvelope } from "./message.ts";
import { sparing } from "./sparing.ts";
import type { Transport } from "./transport.ts";

export interface NotifierOptions {
	readonly transport: Transport;
	readonly exchange: string;
	/** Each gets every notification, with its priority behind it: `versioned_notifications.info`. */
	readonly topics: readonly string[];
	/** `<service>:<host>` */
	readonly publisherId: string;
	readonly log: Log;
}

export interface Notification {
	readonly event_type: string;
	readonly priority: "INFO" | "ERROR";
	readonly payload: Readonly<Record<string, unknown>>;
	/** Of the request that it is about: what others may know of it. */
	readonly context: Readonly<Record<string, unknown>>;
}

const SEND_TIMEOUT_MS = 10_000;

/**
 * Sends notifications as oslo.messaging's notifier with the driver `messagingv2` (oslo_messaging/notify/notifier.py,
 * messaging.py). With one difference: it makes no queue for a topic that nobody has ever listened to, where messages
 * would pile up; who listens has made his own.
 */
export class Notifier {
	readonly #options: NotifierOptions;
	readonly #warnOfLoss: (text: string) => void;
	readonly #underway = new Set<Promise<void>>();
	/** Where nobody listens. */
	readonly #unheard = new Set<string>();

	constructor(options: NotifierOptions) {
		this.#options = options;
		this.#warnOfLoss = sparing((text) => options.log.warning(text));
	}

	/** Whether there is nobody to be told. */
	get isOff(): boolean {
		return this.#options.topics.length === 0;
	}

	/** Does not wait for anything, and never fails: that something cannot be sent is logged. */
	notify({ event_type, priority, payload, context }: Notification): void {
		const fields = {
			message_id: randomUUID(),
			publisher_id: this.#options.publisherId,
			event_type,
			priority,
			payload,
			timestamp: pythonTime(new Date()),
			...contextFields(context),
		};
		for (const topic of this.#options.topics) {
			const body = sealEnvelope({ ...fields, _unique_id: newId() });
			const sent = this.#send(`${topic}.${priority.toLowerCase()}`, body).finally(() => this.#underway.delete(sent));
			this.#underway.add(sent);
		}
	}

	/** Resolves when nothing is on its way any more. */
	async settled(): Promise<void> {
		await Promise.all(this.#underway);
	}

	async #send(key: string, body: Buffer): Promise<void> {
		const { transport, exchange, log } = this.#options;
		try {
			const outcome = await transport.publish({ kind: "topic", exchange, key }, body, { timeout: SEND_TIMEOUT_MS });
			if (outcome === "routed") this.#unheard.delete(key);
			else if (!this.#unheard.has(key)) {
				this.#unheard.add(key);
				log.warning(`nobody has ever listened to ${exchange}/${key}: its notifications are lost until somebody does`);
			}
		} catch (error) {
			const why = error instanceof Error ? error.message : String(error);
			this.#warnOfLoss(`a notification to ${exchange}/${key} is lost: ${why}`);
		}
	}
}

/** As str() writes a datetime without time zone: `2026-11-22 20:24:08.387000`. */
function pythonTime(date: Date): string {
	return date.toISOString().replace("T", " ").replace("Z", "000");
}
