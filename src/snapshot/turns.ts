/** A request that is under way. */
interface Held {
	readonly since: number;
	readonly request: AbortController;
}

/**
 * How many requests are under way at once. Turns come in the order of asking; who has waited for an answer longer than
 * `patience` makes room as soon as somebody else waits for a turn, so that agents that hang do not hold up the others.
 */
export class Turns {
	readonly #count: number;
	readonly #patience: number;
	/** The oldest first. */
	readonly #held = new Set<Held>();
	readonly #waiting = new Set<() => void>();
	#timer: NodeJS.Timeout | undefined;

	/** `patience`: milliseconds. */
	constructor(count: number, patience: number) {
		this.#count = count;
		this.#patience = patience;
	}

	/**
	 * The result of `work`, begun when it is its turn; undefined when the request was aborted before. A request that makes room
	 * is aborted.
	 */
	async run<T>(request: AbortController, work: () => Promise<T>): Promise<{ readonly result: T } | undefined> {
		const held = await this.#hold(request);
		if (held === undefined) return undefined;
		try {
			return { result: await work() };
		} finally {
			this.#held.delete(held);
			this.#next();
		}
	}

	#hold(request: AbortController): Promise<Held | undefined> {
		return new Promise((resolve) => {
			const { signal } = request;
			const settle = (held?: Held) => {
				signal.removeEventListener("abort", forgo);
				this.#waiting.delete(enter);
				resolve(held);
			};
			const forgo = () => settle();
			const enter = () => {
				const held = { since: performance.now(), request };
				this.#held.add(held);
				settle(held);
			};
			if (signal.aborted) return resolve(undefined);
			signal.addEventListener("abort", forgo);
			this.#waiting.add(enter);
			this.#next();
		});
	}

	#next(): void {
		for (const enter of this.#waiting) {
			if (this.#held.size >= this.#count) break;
			enter();
		}
		this.#makeRoom();
	}

	#makeRoom(): void {
		clearTimeout(this.#timer);
		const staying = [...this.#held].filter(({ request }) => !request.signal.aborted);
		const leaving = this.#held.size - staying.length;
		for (const { request, since } of staying.slice(0, Math.max(0, this.#waiting.size - leaving))) {
			const left = since + this.#patience - performance.now();
			if (left > 0) {
				this.#timer = setTimeout(() => this.#makeRoom(), left);
				return;
			}
			request.abort();
		}
	}
}
