/** Parts of a call's time: when its method is told to end, and when it is answered for. What is left is for the reply. */
const TIME_UP = 0.9;
const OVER = 0.95;

/** The time of one call. Nothing that a call waits for has a timer of its own. */
export class Deadline {
	/** On the clock of `performance.now()`. */
	readonly end: number;
	readonly #timeUp = new AbortController();
	readonly #over = new AbortController();
	#timer: NodeJS.Timeout;

	/** `budget`: milliseconds. */
	constructor(budget: number) {
		this.end = performance.now() + budget;
		this.#timer = setTimeout(() => {
			this.#timer = setTimeout(() => this.#over.abort(), budget * (OVER - TIME_UP));
			this.#timeUp.abort();
		}, budget * TIME_UP);
	}

	/** Aborted when the method must come to an end. */
	get timeUp(): AbortSignal {
		return this.#timeUp.signal;
	}

	/** The result of `work`; undefined when it is not there in time. */
	async within<T>(work: Promise<T>): Promise<{ readonly result: T } | undefined> {
		const { signal } = this.#over;
		const over = new Promise<undefined>((resolve) => {
			if (signal.aborted) resolve(undefined);
			signal.addEventListener("abort", () => resolve(undefined), { once: true });
		});
		return Promise.race([work.then((result) => ({ result })), over]);
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
