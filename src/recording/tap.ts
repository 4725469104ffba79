import { toJson } from "../messaging/json.ts";
import { openEnvelope } from "../messaging/message.ts";
import type { ServerTarget } from "../messaging/target.ts";
import type {
	Consumer,
	Delivery,
	Destination,
	PublishOptions,
	Transport,
	TransportState,
} from "../messaging/transport.ts";
import { reduceMessage } from "./allow-list.ts";
import type { RecordedMessage } from "./recording.ts";

export interface RecorderOptions {
	/** Takes one line with its end; must not wait for anything. */
	readonly write: (line: string) => void;
	/** Bytes; once they are written nothing more is. */
	readonly maxSize: number;
	readonly onFull: () => void;
}

type Where = Pick<RecordedMessage, "exchange" | "routing_key">;
type Body = Parameters<typeof openEnvelope>[0];

/** Writes messages down as recordings have them, without anything that is not known to be harmless. */
export class Recorder {
	readonly #options: RecorderOptions;
	#size = 0;

	constructor(options: RecorderOptions) {
		this.#options = options;
	}

	/** Never throws. `methods`: requests of these only, the rest is nobody's business. */
	record(where: Where, body: Body, methods?: Pick<ReadonlySet<unknown>, "has">): void {
		if (this.#size > this.#options.maxSize) return;
		const line = lineOf(where, body, methods);
		if (line === undefined) return;
		this.#size += Buffer.byteLength(line);
		if (this.#size > this.#options.maxSize) this.#options.onFull();
		else this.#options.write(line);
	}
}

/** A transport that lets everything that passes be recorded: requests that arrive, and the replies to them. */
export class TappedTransport implements Transport {
	readonly #inner: Transport;
	readonly #recorder: Recorder;
	/** A reply whose queue is missing is published again and again: the same buffer. */
	readonly #recorded = new WeakSet<Buffer>();

	constructor(inner: Transport, recorder: Recorder) {
		this.#inner = inner;
		this.#recorder = recorder;
	}

	listen(target: ServerTarget, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		const { exchange, topic, server } = target;
		return this.#inner.listen(target, prefetch, (delivery) => {
			// Which of its three queues it came from makes no difference to the answer, which server it was for does.
			this.#recorder.record({ exchange, routing_key: `${topic}.${server}` }, delivery);
			onDelivery(delivery);
		});
	}

	newReplyQueue(): string {
		return this.#inner.newReplyQueue();
	}

	listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		return this.#inner.listenForReplies(queue, onDelivery);
	}

	publish(to: Destination, body: Buffer, options: PublishOptions): Promise<"routed" | "unroutable"> {
		if (to.kind === "reply" && !this.#recorded.has(body)) {
			this.#recorded.add(body);
			this.#recorder.record(
				{ exchange: "", routing_key: to.queue },
				{ body, contentType: "application/json", compression: undefined },
			);
		}
		return this.#inner.publish(to, body, options);
	}

	state(): TransportState {
		return this.#inner.state();
	}

	resumedAt(): number | undefined {
		return this.#inner.resumedAt();
	}

	close(): Promise<void> {
		return this.#inner.close();
	}
}

/** None of what cannot be read, nor of a sign of life. */
function lineOf(...[where, body, methods]: Parameters<Recorder["record"]>): string | undefined {
	try {
		const message = reduceMessage(openEnvelope(body));
		if (message["ending"] === false || (methods && !methods.has(message["method"]))) return undefined;
		return `${toJson({ time: new Date().toISOString(), ...where, message })}\n`;
	} catch {
		return undefined;
	}
}
