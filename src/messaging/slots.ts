import type { Deadline } from "./deadline.ts";

/** One of the slots of a server. */
export class Slot {
	/** What goes on in it; its result is not held. */
	#work: Promise<unknown> | undefined;
	readonly #release: (work: Promise<unknown> | undefined) => void;

	constructor(release: (work: Promise<unknown> | undefined) => void) {
		this.#release = release;
	}

	/** Names the work for which the slot is held, and hands it on. */
	hold<T>(work: Promise<T>): Promise<T> {
		this.#work = work;
		const ended = () => {
			this.#work = undefined;
		};
		work.then(ended, ended);
		return work;
	}

	/** Gives the slot back, although the work may go on. */
	free(): void {
		this.#release(this.#work);
	}
}

/**
 * How many requests a server works on at once, those of all queues together: oslo.messaging's thread pool
 * (`executor_thread_pool_size`, oslo_messaging/server.py). Who waits is served in the order of arrival; how many can wait
 * is bounded by what the broker hands out unacknowledged.
 */
export class Slots {
	readonly #count: number;
	#free: number;
	/** Work that goes on without a slot. */
	#left = 0;
	/** In the order of arrival; an array for the reason that Acknowledgements has. */
	readonly #waiting: ((outcome: "entered" | "late" | "closed") => void)[] = [];
	#closed = false;

	constructor(count: number) {
		this.#count = count;
		this.#free = count;
	}

	/** "late" when the time was up before there was a slot, "closed" after `close`. */
	async take(deadline?: Deadline): Promise<Slot | "late" | "closed"> {
		const outcome = this.#enter() ?? (await this.#wait(deadline));
		return outcome === "entered" ? new Slot((work) => this.#release(work)) : outcome;
	}

	/** Nothing more is begun: who waits, or comes later, is turned away. */
	close(): void {
		this.#closed = true;
		for (const settle of this.#waiting.splice(0)) settle("closed");
	}

	#enter(): "entered" | "closed" | undefined {
		if (this.#closed) return "closed";
		if (this.#free === 0) return undefined;
		this.#free--;
		return "entered";
	}

	#wait(deadline: Deadline | undefined): Promise<"entered" | "late" | "closed"> {
		return new Promise((resolve) => {
			this.#waiting.push(resolve);
			deadline?.whenTimeUp(() => {
				const place = this.#waiting.indexOf(resolve);
				if (place !== -1) this.#waiting.splice(place, 1);
				resolve("late");
			});
		});
	}

	/**
	 * As much work may go on without a slot as there are slots. Beyond that a slot is free when its work has ended, so that
	 * work without end cannot pile up.
	 */
	#release(work: Promise<unknown> | undefined): void {
		if (work === undefined) {
			this.#next();
			return;
		}
		const isFull = this.#left >= this.#count;
		const ended = () => {
			if (isFull) this.#next();
			else this.#left--;
		};
		work.then(ended, ended);
		if (isFull) return;
		this.#left++;
		this.#next();
	}

	#next(): void {
		const enter = this.#waiting.shift();
		if (enter) enter("entered");
		else this.#free++;
	}
}
