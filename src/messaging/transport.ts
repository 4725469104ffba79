import type { ServerTarget } from "./target.ts";

/** A message that a queue handed to us. Exactly one of `ack`, `reject` and `requeue` ends it. */
export interface Delivery {
	/** The key that it was sent with: `<topic>.<server>`, whatever the queue. */
	readonly routingKey: string;
	readonly body: Buffer;
	/** Bytes of a body that was thrown away because no message may be so large; `body` is empty then. */
	readonly tooLarge?: number;
	readonly contentType: string | undefined;
	/** Header `compression`: kombu's name of what the body has to be decompressed with. */
	readonly compression: string | undefined;
	/** Header `traceparent`, as instrumentations of OpenTelemetry send it: any text, of whoever sent it. */
	readonly traceparent: string | undefined;
	/** The time to live that the caller gave a call, in milliseconds as decimal text. */
	readonly expiration: string | undefined;
	/** The broker has handed it out before and got no acknowledgement. */
	readonly redelivered: boolean;
	/** False when the connection is gone, so that the broker hands the message out again. */
	ack(): boolean;
	/** Drops a message that cannot be read; never requeues. */
	reject(): void;
	/** Gives a message back on which no work has begun: another server gets it, marked as redelivered. */
	requeue(): void;
}

export type Destination =
	| { readonly kind: "topic"; readonly exchange: string; readonly key: string }
	| { readonly kind: "fanout"; readonly exchange: string }
	| { readonly kind: "reply"; readonly queue: string };

export interface PublishOptions {
	/** Milliseconds after which the broker may drop the message. */
	readonly expiration?: number;
	/** Sent as a header. */
	readonly traceparent?: string;
	/** Called when it is given to the broker, and again when that has to be done again: from then on it may arrive. */
	readonly onSent?: () => void;
	/** Give up after so many milliseconds; the promise then rejects with MessageDeliveryFailure. */
	readonly timeout: number;
}

export interface Consumer {
	/** No further deliveries; those that were handed out may still be acknowledged. */
	cancel(): Promise<void>;
}

/** What carries messages: RabbitMQ, or memory for demo, replay and tests. Both pass one contract suite. */
export interface Transport {
	/**
	 * Listens as oslo's RPC server does: on the topic, on `<topic>.<server>`, and on the topic's fanout. Each of the three
	 * queues hands out `prefetch` messages at most that have not been ended, or more where `rabbit_qos_prefetch_count` is.
	 */
	listen(target: ServerTarget, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Consumer>;
	/** A name for a reply queue of one's own. */
	newReplyQueue(): string;
	/** Listens on it; it keeps its name whatever happens to the connection. */
	listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer>;
	/** Resolves when the broker has the message: whether it reached a queue. */
	publish(to: Destination, body: Buffer, options: PublishOptions): Promise<"routed" | "unroutable">;
	/** How it stands with the broker. */
	state(): TransportState;
	/** When the last connection was made, on the clock of `performance.now()`, if another one was lost before. */
	resumedAt(): number | undefined;
	close(): Promise<void>;
}

export interface TransportState {
	/** The broker that there is a connection to now. */
	readonly connected: string | undefined;
	/** How many connections there have been. */
	readonly connections: number;
	/** All that was subscribed to is being consumed. */
	readonly consuming: boolean;
	/** The broker takes no messages, for want of memory or disk, or no replies, because this user may send none. */
	readonly blocked: boolean;
	/** What is used as it is, although it is there with other arguments than it would be declared with: `queue migration_compat`. */
	readonly inequivalent: readonly string[];
}
