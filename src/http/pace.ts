/** Requests of one address. A careful client never comes near: the service asks an agent every other second, Prometheus four times a minute. */
export const MAX_PER_SECOND = 500;
/** Of one address. Each costs as much as ten answers, and who has no certificate can begin one; a careful client keeps its connections. */
export const MAX_HANDSHAKES_PER_SECOND = 50;

/** How often an address does something, so that one that floods takes neither processors from guests nor answers from others. */
export class Pace {
	readonly #max: number;
	/** Milliseconds, never going back. */
	readonly #now: () => number;
	#second = 0;
	/** Of this second, by address. */
	readonly #counts = new Map<string, number>();

	/** `max`: in a second, of one address. */
	constructor(max: number, now = () => performance.now()) {
		this.#max = max;
		this.#now = now;
	}

	/** Counts one; whether it is one too many in this second. */
	isExceeded(address: string): boolean {
		const second = Math.floor(this.#now() / 1000);
		if (second !== this.#second) this.#counts.clear();
		this.#second = second;
		const count = (this.#counts.get(address) ?? 0) + 1;
		this.#counts.set(address, count);
		return count > this.#max;
	}
}
