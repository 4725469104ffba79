/** Why a request is aborted that must make room: it may wait for another turn. */
export const MADE_ROOM = Symbol("made room");

/** What waits for its turn, or has it. */
export interface Request {
	/** There is one request of a name at a time. */
	readonly name: string;
	/** Stands for who asks. */
	readonly asker: object;
	/** Ends it, before or while it is under way. */
	readonly over: AbortController;
	/** Milliseconds of silence for which it keeps its place although somebody waits. */
	readonly patience: number;
}

/** A request that is under way. */
interface Held {
	readonly request: Request;
	/** When it makes room, on the clock of `performance.now()`. */
	due: number;
}

/** One that waits: what begins it. */
type Enter = () => void;

/**
 * How many requests are under way at once. Those who ask take turns, so that a check of two hosts does not wait for a ranking of
 * a thousand; a request that is silent for longer than its patience makes room as soon as somebody else waits, so that agents that
 * hang do not hold up the others.
 */
export class Turns {
	readonly #count: number;
	readonly #held = new Set<Held>();
	readonly #waiting = new Map<string, Enter>();
	/** For what each one waits who asks; who is next first. What has begun meanwhile is passed over. */
	readonly #askers = new Map<object, Set<Enter>>();
	#timer: NodeJS.Timeout | undefined;

	constructor(count: number) {
		this.#count = count;
	}

	/**
	 * The result of `work`, begun when it is its turn; undefined when the request was over before. `work` calls `heard` whenever
	 * something has come: cut off and begun anew, large answers would never be there when many are asked for.
	 */
	async run<T>(request: Request, work: (heard: () => void) => Promise<T>): Promise<{ readonly result: T } | undefined> {
		const held = await this.#hold(request);
		if (held === undefined) return undefined;
		const heard = () => {
			held.due = performance.now() + request.patience;
		};
		try {
			return { result: await work(heard) };
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

	#hold(request: Request): Promise<Held | undefined> {
		const { name, asker, patience } = request;
		return new Promise((resolve) => {
			const { signal } = request.over;
			const settle = (held?: Held) => {
				signal.removeEventListener("abort", forgo);
				this.#waiting.delete(name);
				resolve(held);
			};
			const forgo = () => settle();
			const enter = () => {
				// It may have begun at the turn of another one, or have been given up.
				if (this.#waiting.get(name) !== enter) return;
				const held = { request, due: performance.now() + patience };
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
		const staying = [...this.#held].filter(({ request }) => !request.over.signal.aborted);
		const wanted = this.#waiting.size - (this.#held.size - staying.length);
		const now = performance.now();
		const due = staying.sort((a, b) => a.due - b.due).slice(0, Math.max(0, wanted));
		const overdue = due.filter((held) => held.due <= now);
		for (const { request } of overdue) request.over.abort(MADE_ROOM);
		const next = due[overdue.length];
		// Answers that have arrived while this process was busy are read first.
		const again = () => setImmediate(() => this.#makeRoom());
		if (next) this.#timer = setTimeout(again, next.due - now);
	}
}
