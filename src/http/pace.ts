/** What a careful client never comes near: the service asks an agent every other second, Prometheus four times a minute. */
export const MAX_PER_SECOND = 500;

/** How many requests an address sends, so that one that floods takes neither processors from guests nor answers from others. */
export class Pace {
	/** Milliseconds, never going back. */
	readonly #now: () => number;
	#second = 0;
	/** Of this second, by address. */
	readonly #counts = new Map<string, number>();

	constructor(now = () => performance.now()) {
		this.#now = now;
	}

	/** Counts a request; whether it is one too many in this second. */
	isExceeded(address: string): boolean {
		const second = Math.floor(this.#now() / 1000);
		if (second !== this.#second) this.#counts.clear();
		this.#second = second;
		const count = (this.#counts.get(address) ?? 0) + 1;
		this.#counts.set(address, count);
		return count > MAX_PER_SECOND;
	}
}
