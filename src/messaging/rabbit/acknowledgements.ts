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
	#isFlushing = false;

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
		open.state = "done";
		this.#done.push(open);
		this.#flushSoon();
		return true;
	}

	giveUp(open: Open, requeue: boolean): void {
		open.state = "settled";
		this.#try(() => this.#channel.nack(open, false, requeue));
		this.#flushSoon();
	}

	#flushSoon(): void {
		if (this.#isFlushing) return;
		this.#isFlushing = true;
		process.nextTick(() => this.#flush());
	}

	/** The last that is done before the first that is open takes all before it along; what is done behind that goes alone. */
	#flush(): void {
		this.#isFlushing = false;
		const done = this.#done;
		this.#done = [];
		const first = this.#open.findIndex(({ state }) => state === "open");
		const leading = this.#open.splice(0, first < 0 ? this.#open.length : first);
		const oldest = leading.findLast(({ state }) => state === "done");
		this.#try(() => {
			if (oldest) this.#channel.ack(oldest, true);
			for (const one of leading) one.state = "settled";
			for (const one of done) {
				if (one.state === "settled") continue;
				one.state = "settled";
				this.#channel.ack(one);
			}
		});
	}

	#try(settle: () => void): void {
		try {
			settle();
		} catch {
			// The channel is gone: the broker will hand out again what was not settled.
		}
	}
}
