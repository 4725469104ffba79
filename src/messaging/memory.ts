import { fanoutExchange, type ServerTarget, serverKey } from "./target.ts";
import type { Consumer, Delivery, Destination, PublishOptions, Transport } from "./transport.ts";

interface Queue {
	readonly backlog: { readonly body: Buffer; readonly expiration: string | undefined }[];
	readonly consumers: MemoryConsumer[];
}

/**
 * A broker inside this process (oslo.messaging's `fake://`): the demo, replay and tests need no RabbitMQ. Queues and
 * bindings are those of the real one; there is no redelivery, because a connection cannot break.
 */
export class MemoryTransport implements Transport {
	readonly #queues = new Map<string, Queue>();
	/** Queue names by `<exchange> <routing key>`. */
	readonly #bindings = new Map<string, Set<string>>();
	#fanouts = 0;

	async listen(target: ServerTarget, prefetch: number, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		const fanoutQueue = `${fanoutExchange(target)}_${++this.#fanouts}`;
		this.#bind(target.topic, `${target.exchange} ${target.topic}`);
		this.#bind(serverKey(target), `${target.exchange} ${serverKey(target)}`);
		this.#bind(fanoutQueue, fanoutExchange(target));
		return this.#consume([target.topic, serverKey(target), fanoutQueue], prefetch, onDelivery);
	}

	async listenForReplies(queue: string, onDelivery: (delivery: Delivery) => void): Promise<Consumer> {
		this.#bind(queue, ` ${queue}`);
		return this.#consume([queue], Number.POSITIVE_INFINITY, onDelivery);
	}

	async publish(to: Destination, body: Buffer, { expiration }: PublishOptions): Promise<"routed" | "unroutable"> {
		const queues = this.#bindings.get(bindingOf(to)) ?? new Set();
		for (const name of queues) {
			const queue = this.#queue(name);
			queue.backlog.push({ body, expiration: expiration === undefined ? undefined : String(Math.trunc(expiration)) });
			this.#drain(queue);
		}
		return queues.size > 0 ? "routed" : "unroutable";
	}

	async close(): Promise<void> {
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
		const queues = names.map((name) => this.#queue(name));
		const consumer: MemoryConsumer = { free: prefetch, onDelivery };
		for (const queue of queues) queue.consumers.push(consumer);
		for (const queue of queues) this.#drain(queue);
		const cancel = async () => {
			for (const queue of queues) queue.consumers.splice(queue.consumers.indexOf(consumer), 1);
		};
		consumer.onFree = () => {
			for (const queue of queues) this.#drain(queue);
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
			deliver(next, message.body, message.expiration);
		}
	}
}

interface MemoryConsumer {
	free: number;
	readonly onDelivery: (delivery: Delivery) => void;
	onFree?: () => void;
}

function deliver(consumer: MemoryConsumer, body: Buffer, expiration: string | undefined): void {
	consumer.free--;
	let settled = false;
	const settle = () => {
		if (settled) return;
		settled = true;
		consumer.free++;
		consumer.onFree?.();
	};
	const delivery = {
		body,
		contentType: "application/json",
		expiration,
		redelivered: false,
		ack: settle,
		reject: settle,
	};
	// A broker never calls back into the one who publishes.
	setImmediate(() => consumer.onDelivery(delivery));
}

function bindingOf(to: Destination): string {
	if (to.kind === "reply") return ` ${to.queue}`;
	return to.kind === "fanout" ? to.exchange : `${to.exchange} ${to.key}`;
}
