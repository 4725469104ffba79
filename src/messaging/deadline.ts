/** Parts of a call's time: when its method is told to end, and when it is answered for. What is left is for the reply. */
const TIME_UP = 0.9;
const OVER = 0.95;

const NOTHING = () => undefined;

/** The time of one call. Nothing that a call waits for has a timer of its own. */
export class Deadline {
	/** On the clock of `performance.now()`. */
	readonly end: number;
	#timer: NodeJS.Timeout;
	#passed: "nothing" | "time up" | "over" = "nothing";
	/** Made for who asks: most methods end long before, and a signal costs more than they do. */
	#timeUp: AbortController | undefined;
	#onTimeUp: () => void = NOTHING;
	#onOver: () => void = NOTHING;

	/** `budget`: milliseconds. */
	constructor(budget: number) {
		this.end = performance.now() + budget;
		const over = () => {
			this.#passed = "over";
			this.#onOver();
		};
		this.#timer = setTimeout(() => {
			this.#passed = "time up";
			this.#timer = setTimeout(over, budget * (OVER - TIME_UP));
			this.#timeUp?.abort();
			this.#onTimeUp();
		}, budget * TIME_UP);
	}

	/** Aborted when the method must come to an end. */
	get timeUp(): AbortSignal {
		this.#timeUp ??= new AbortController();
		if (this.#passed !== "nothing") this.#timeUp.abort();
		return this.#timeUp.signal;
	}

	/** What is to be done when the time is up, in place of what was said before: a signal costs more than most calls. */
	whenTimeUp(act: () => void): void {
		this.#onTimeUp = act;
		if (this.#passed !== "nothing") act();
	}

	/** The result of `work`; undefined when it is not there in time. */
	within<T>(work: Promise<T>): Promise<{ readonly result: T } | undefined> {
		return new Promise((resolve, reject) => {
			this.#onOver = () => resolve(undefined);
			if (this.#passed === "over") resolve(undefined);
			work.then(
				(result) => {
					this.#onOver = NOTHING;
					resolve({ result });
				},
				(error: unknown) => {
					this.#onOver = NOTHING;
					reject(error);
				},
			);
		});
	}

	/** The call is answered. */
	clear(): void {
		clearTimeout(this.#timer);
	}
}

/**
 * Milliseconds in which a call is answered: at most half of the time that the caller waits, because the time that the
 * message has spent in the queue is unknown. RabbitMQ hands over `expiration` as it was sent.
 */
export function callBudget(expiration: string | undefined, maxCallTime: number): number {
	const hard = expiration !== undefined && /^[1-9]\d{0,9}$/.test(expiration) ? Number(expiration) : 2 * maxCallTime;
	return Math.min(maxCallTime, hard / 2);
}
