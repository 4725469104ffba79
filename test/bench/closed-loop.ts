import { idOfAnyReply, idOfRightReply, type ReplyTemplate } from "./template.ts";

/** So many calls in flight until one of both limits is reached. */
export interface Load {
	readonly inFlight: number;
	readonly seconds?: number;
	readonly calls?: number;
	/** Seconds after which an answer counts as lost: the time to live of the request. */
	readonly timeout?: number;
}

export interface Run {
	/** Right answers per second, without those that came after the time was up. */
	readonly rate: number;
	/** Milliseconds from request to answer, one per right answer. */
	readonly latencies: readonly number[];
	readonly wrong: number;
	readonly lost: number;
	/** Replies that nobody waits for: second ones, late ones, or to ids that were never sent. */
	readonly stray: number;
}

/** Servers promise an answer within 15 s. */
export const TIMEOUT_S = 20;
const SWEEP_MS = 100;

/** One run: whenever a call is answered or lost, the next one is sent. No promise and no timer per call. */
export class ClosedLoop {
	readonly #send: () => string;
	readonly #reply: ReplyTemplate;
	readonly #load: Required<Load>;
	readonly #start = performance.now();
	/** When a call was sent, by its id; in the order of sending. */
	readonly #waiting = new Map<string, number>();
	readonly #latencies: number[] = [];
	#sent = 0;
	#inTime = 0;
	#wrong = 0;
	#lost = 0;
	#stray = 0;
	#finish: () => void = () => undefined;

	/** `send` sends one request and returns its id. */
	constructor(send: () => string, reply: ReplyTemplate, load: Load) {
		this.#send = send;
		this.#reply = reply;
		const unlimited = Number.POSITIVE_INFINITY;
		this.#load = { seconds: unlimited, calls: unlimited, timeout: TIMEOUT_S, ...load };
	}

	async run(): Promise<Run> {
		const { inFlight, seconds } = this.#load;
		const finished = new Promise<void>((resolve) => {
			this.#finish = resolve;
		});
		const sweep = setInterval(() => this.#giveUpOverdue(), SWEEP_MS);
		for (let caller = 0; caller < inFlight; caller++) this.#next();
		await finished;
		clearInterval(sweep);
		const elapsed = Math.min((performance.now() - this.#start) / 1000, seconds);
		const faults = { wrong: this.#wrong, lost: this.#lost, stray: this.#stray };
		return { rate: this.#inTime / elapsed, latencies: this.#latencies, ...faults };
	}

	accept(body: Buffer): void {
		const now = performance.now();
		const right = idOfRightReply(this.#reply, body);
		const id = right ?? idOfAnyReply(body);
		if (right === undefined && this.#wrong++ === 0) process.stderr.write(`wrong answer: ${body}\n`);
		const sentAt = this.#waiting.get(id);
		if (sentAt === undefined) {
			this.#stray++;
			return;
		}
		this.#waiting.delete(id);
		if (right !== undefined) {
			this.#latencies.push(now - sentAt);
			if (this.#hasTime(now)) this.#inTime++;
		}
		this.#next();
	}

	#next(): void {
		const now = performance.now();
		if (this.#sent < this.#load.calls && this.#hasTime(now)) {
			this.#sent++;
			this.#waiting.set(this.#send(), now);
		} else if (this.#waiting.size === 0) this.#finish();
	}

	#hasTime(now: number): boolean {
		return now < this.#start + this.#load.seconds * 1000;
	}

	#giveUpOverdue(): void {
		for (const [id, sentAt] of this.#waiting) {
			if (performance.now() < sentAt + this.#load.timeout * 1000) return;
			this.#waiting.delete(id);
			this.#lost++;
			this.#next();
		}
	}
}
