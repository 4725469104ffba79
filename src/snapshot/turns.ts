/** A request that is under way. */
interface Held {
	readonly since: number;
	readonly request: AbortController;
}

/** One that waits: what begins it. */
type Enter = () => void;

/**
 * How many requests are under way at once. Those who ask take turns, so that a check of two hosts does not wait for a ranking of
 * a thousand; a request that is silent for longer than `patience` makes room as soon as somebody else waits, so that agents that
 * hang do not hold up the others.
 */
export class Turns {
	readonly #count: number;
	readonly #patience: number;
	/** The oldest first. */
	readonly #held = new Set<Held>();
	readonly #waiting = new Map<string, Enter>();
	/** For what each one waits who asks; who is next first. What has begun meanwhile is passed over. */
	readonly #askers = new Map<object, Set<Enter>>();
	#timer: NodeJS.Timeout | undefined;

	/** `patience`: milliseconds. */
	constructor(count: number, patience: number) {
		this.#count = count;
		this.#patience = patience;
	}

	/**
	 * The result of `work`, begun when it is its turn; undefined when the request was aborted before. A request that makes room
	 * is aborted. There is one request of a name at a time.
	 */
	async run<T>(
		name: string,
		asker: object,
		request: AbortController,
		work: () => Promise<T>,
	): Promise<{ readonly result: T } | undefined> {
		const held = await this.#hold(name, asker, request);
		if (held === undefined) return undefined;
		try {
			return { result: await work() };
		} finally {
			this.#held.delete(held);
			this.#next();
		}
	}

	/** One more waits for the request of this name: it begins at the turn of whoever is next. */
	join(name: string, asker: object): void {
		const enter = this.#waiting.get(name);
		if (enter) this.#queue(asker, enter);
	}

	#hold(name: string, asker: object, request: AbortController): Promise<Held | undefined> {
		return new Promise((resolve) => {
			const { signal } = request;
			const settle = (held?: Held) => {
				signal.removeEventListener("abort", forgo);
				this.#waiting.delete(name);
				resolve(held);
			};
			const forgo = () => settle();
			const enter = () => {
				// It may have begun at the turn of another one, or have been given up.
				if (this.#waiting.get(name) !== enter) return;
				const held = { since: performance.now(), request };
				this.#held.add(held);
				settle(held);
			};
			if (signal.aborted) return resolve(undefined);
			signal.addEventListener("abort", forgo);
			this.#waiting.set(name, enter);
			this.#queue(asker, enter);
			this.#next();
		});
	}

	#queue(asker: object, enter: Enter): void {
		this.#askers.set(asker, (this.#askers.get(asker) ?? new Set()).add(enter));
	}

	#next(): void {
		while (this.#held.size < this.#count) {
			const [next] = this.#askers;
			if (next === undefined) break;
			const [asker, own] = next;
			const [enter] = own;
			if (enter) own.delete(enter);
			// What else the same one asks comes after all others.
			this.#askers.delete(asker);
			if (own.size > 0) this.#askers.set(asker, own);
			enter?.();
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
