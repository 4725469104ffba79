/** The part of a channel that settles deliveries by tag; with `multiple` the broker takes all that came before as well. */
interface Settling {
	ack(delivery: Tagged, multiple?: boolean): void;
	nack(delivery: Tagged, multiple: boolean, requeue: boolean): void;
}

interface Tagged {
	readonly fields: { readonly deliveryTag: number };
}

/** A delivery that the broker waits for. Not the message: what is in it would be kept until its acknowledgement. */
export interface Open extends Tagged {
	state: "open" | "done" | "settled";
}

/**
 * Acknowledges what one turn of the event loop has answered in as few frames as possible (`basic.ack` with `multiple`): each
 * frame costs the broker a look through what a consumer has. Nothing waits for a slower message that came before.
 *
 * Arrays, because the tables that a Map or Set leaves behind when it grows or shrinks point to their successors: one that the
 * garbage collector has taken for old keeps all later ones alive.
 */
export class Acknowledgements {
	readonly #channel: Settling;
	readonly #isLost: () => boolean;
	/** In the order in which the broker handed them out. */
	readonly #open: Open[] = [];
	#done: Open[] = [];

	constructor(channel: Settling, isLost: () => boolean) {
		this.#channel = channel;
		this.#isLost = isLost;
	}

	/** To be called with each message, in the order of their coming. */
	add({ fields: { deliveryTag } }: Tagged): Open {
		const open: Open = { fields: { deliveryTag }, state: "open" };
		this.#open.push(open);
		return open;
	}

	/** False when the channel is gone: the broker will hand the message out again. */
	ack(open: Open): boolean {
		if (this.#isLost()) return false;
		if (this.#done.length === 0) process.nextTick(() => this.#flush());
		open.state = "done";
		this.#done.push(open);
		return true;
	}

	giveUp(open: Open, requeue: boolean): void {
		open.state = "settled";
		this.#try(() => this.#channel.nack(open, false, requeue));
	}

	#flush(): void {
		const [done, oldest] = [this.#done, this.#takeOldest()];
		this.#done = [];
		this.#try(() => {
			if (oldest) this.#channel.ack(oldest, true);
			for (const one of done) {
				if (one.state === "settled") continue;
				one.state = "settled";
				this.#channel.ack(one);
			}
		});
	}

	/** The last of those that are done and have nothing unfinished before them. */
	#takeOldest(): Open | undefined {
		let last: Open | undefined;
		for (let first = this.#open[0]; first && first.state !== "open"; first = this.#open[0]) {
			if (first.state === "done") last = first;
			first.state = "settled";
			this.#open.shift();
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
