import { setImmediate as handedOut } from "node:timers/promises";
import { newId } from "./message.ts";
import { fanoutExchange, type ServerTarget, serverKey } from "./target.ts";
import type { Consumer, Delivery, Destination, PublishOptions, Transport, TransportState } from "./transport.ts";

interface Message {
	readonly routingKey: string;
	readonly body: Buffer;
	readonly expiration: string | undefined;
	readonly traceparent: string | undefined;
	readonly redelivered: boolean;
}

interface Queue {
	readonly backlog: Message[];
	/** In the order of their turns. */
	consumers: MemoryConsumer[];
}

/**
 * A broker inside this process (oslo.messaging's `fake://`): the demo, replay and tests need no RabbitMQ. Queues and
 * bindings are those of the real one; only what is given back is redelivered, because a connection cannot break.
 */
export class MemoryTransport implements Transport {
	readonly #queues = new Map<string, Queue>();
	/** Queue names by `<exchange> <routing key>`. */
	readonly #bindings = new Map<string, Set<string>>();
	#fanouts = 0;

	state(): TransportState {
		const consuming = [...this.#queues.values()].some(({ consumers }) => consumers.length > 0);
		return { connected: "memory", connections: 1, consuming, blocked: false, inequivalent: [] };
	}

	resumedAt(): undefined {
		return undefined;
	}

	async listen(target: ServerTarget, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		const fanoutQueue = `${fanoutExchange(target)}_${++this.#fanouts}`;
		this.#bind(target.topic, `${target.exchange} ${target.topic}`);
		this.#bind(serverKey(target), `${target.exchange} ${serverKey(target)}`);
		this.#bind(fanoutQueue, fanoutExchange(target));
		const consumer = this.#consume([target.topic, serverKey(target), fanoutQueue], prefetch, onDelivery);
		const cancel = async () => {
			this.#bindings.get(fanoutExchange(target))?.delete(fanoutQueue);
			this.#queues.delete(fanoutQueue);
			await consumer.cancel();
		};
		return { cancel };
	}

	newReplyQueue(): string {
		return `reply_${newId()}`;
	}

	async listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		this.#bind(queue, ` ${queue}`);
		return this.#consume([queue], Number.POSITIVE_INFINITY, onDelivery);
	}

	async publish(
		to: Destination,
		body: Buffer,
		{ expiration, traceparent, onSent }: PublishOptions,
	): Promise<"routed" | "unroutable"> {
		onSent?.();
		const queues = this.#bindings.get(bindingOf(to)) ?? new Set();
		const message = {
			routingKey: to.kind === "topic" ? to.key : to.kind === "reply" ? to.queue : "",
			body,
			expiration: expiration === undefined ? undefined : String(Math.trunc(expiration)),
			traceparent,
			redelivered: false,
		};
		for (const name of queues) {
			const queue = this.#queue(name);
			queue.backlog.push(message);
			this.#drain(queue);
		}
		return queues.size > 0 ? "routed" : "unroutable";
	}

	async close(): Promise<void> {
		for (const queue of this.#queues.values()) queue.consumers = [];
		this.#queues.clear();
		this.#bindings.clear();
	}

	#bind(queue: string, binding: string): void {
		this.#queue(queue);
		this.#bindings.set(binding, (this.#bindings.get(binding) ?? new Set()).add(queue));
	}

	#queue(name: string): Queue {
		const queue = this.#queues.get(name) ?? { backlog: [], consumers: [] };
		this.#queues.set(name, queue);
		return queue;
	}

	#consume(names: readonly string[], prefetch: number, onDelivery: (delivery: Delivery) => void): Consumer {
		const subscribed = names.map((name) => ({ queue: this.#queue(name), consumer: { free: prefetch, onDelivery } }));
		for (const { queue, consumer } of subscribed) {
			queue.consumers.push(consumer);
			this.#drain(queue);
		}
		const cancel = async () => {
			for (const { queue, consumer } of subscribed) queue.consumers = queue.consumers.filter((one) => one !== consumer);
			await handedOut();
		};
		return { cancel };
	}

	/** Hands messages to the consumers in turn, as many as each may have. */
	#drain(queue: Queue): void {
		for (
			let next = queue.consumers.find(({ free }) => free > 0);
			next;
			next = queue.consumers.find(({ free }) => free > 0)
		) {
			const message = queue.backlog.shift();
			if (message === undefined) return;
			queue.consumers.push(...queue.consumers.splice(queue.consumers.indexOf(next), 1));
			this.#deliver(queue, next, message);
		}
	}

	#deliver(queue: Queue, consumer: MemoryConsumer, message: Message): void {
		consumer.free--;
		let settled = false;
		const settle = () => {
			if (settled) return;
			settled = true;
			consumer.free++;
			this.#drain(queue);
		};
		const delivery: Delivery = {
			...message,
			contentType: "application/json",
			compression: undefined,
			ack: () => {
				settle();
				return true;
			},
			reject: settle,
			requeue: () => {
				// To where it was: a broker puts it back at the head.
				if (!settled) queue.backlog.unshift({ ...message, redelivered: true });
				settle();
			},
		};
		// A broker never calls back into the one who publishes.
		setImmediate(() => consumer.onDelivery(delivery));
	}
}

interface MemoryConsumer {
	free: number;
	readonly onDelivery: (delivery: Delivery) => void;
}

function bindingOf(to: Destination): string {
	if (to.kind === "reply") return ` ${to.queue}`;
	return to.kind === "fanout" ? to.exchange : `${to.exchange} ${to.key}`;
}
