/** The part of a channel that settles deliveries by tag; with `multiple` the broker takes all that came before as well. */
interface Settling {
	ack(delivery: Tagged, multiple?: boolean): void;
	nack(delivery: Tagged, multiple: boolean, requeue: boolean): void;
}

interface Tagged {
	readonly fields: { readonly deliveryTag: number };
}

/**
 * Acknowledges what one turn of the event loop has answered in as few frames as possible (`basic.ack` with `multiple`): each
 * frame costs the broker a look through what a consumer has. Nothing waits for a slower message that came before.
 */
export class Acknowledgements<Message extends Tagged> {
	readonly #channel: Settling;
	readonly #isLost: () => boolean;
	/** By tag, which is the order in which the broker handed them out. */
	readonly #open = new Map<number, Message>();
	readonly #done = new Set<number>();

	constructor(channel: Settling, isLost: () => boolean) {
		this.#channel = channel;
		this.#isLost = isLost;
	}

	/** To be called with each message, in the order of their coming. */
	add(message: Message): void {
		this.#open.set(message.fields.deliveryTag, message);
	}

	/** False when the channel is gone: the broker will hand the message out again. */
	ack({ fields }: Message): boolean {
		if (this.#isLost()) return false;
		if (this.#done.size === 0) process.nextTick(() => this.#flush());
		this.#done.add(fields.deliveryTag);
		return true;
	}

	giveUp(message: Message, requeue: boolean): void {
		this.#open.delete(message.fields.deliveryTag);
		this.#try(() => this.#channel.nack(message, false, requeue));
	}

	#flush(): void {
		const oldest = this.#takeOldest();
		this.#try(() => {
			if (oldest) this.#channel.ack(oldest, true);
			for (const tag of this.#done) {
				const message = this.#open.get(tag);
				this.#open.delete(tag);
				if (message) this.#channel.ack(message);
			}
		});
		this.#done.clear();
	}

	/** The last of those that are done and have nothing unfinished before them. */
	#takeOldest(): Message | undefined {
		let last: Message | undefined;
		for (const [tag, message] of this.#open) {
			if (!this.#done.delete(tag)) break;
			this.#open.delete(tag);
			last = message;
		}
		return last;
	}

	#try(settle: () => void): void {
		try {
			settle();
		} catch {
			// The channel is gone: the broker will hand out again what was not settled.
		}
	}
}
