/** Requests in each half of the memory, and milliseconds after which a half is closed: what is older than two is forgotten. */
const HALF = { requests: 4_096, ms: 60_000 };
/** Bytes of replies that are kept, the youngest ones. */
const REPLY_BYTES = 16 * 1024 * 1024;

interface Answer {
	/** Its first byte, counted from the first byte of all. */
	readonly at: number;
	readonly length: number;
}

/**
 * The requests that were taken, by `_unique_id` (_MsgIdCache of oslo_messaging/_drivers/amqp.py, which remembers sixteen).
 * Beside Python's it keeps the reply, for a caller who may not have got it. Replies lie in one buffer that is filled round
 * and round: thousands of them, each an object for a minute, took a tenth of the time of a call to collect.
 */
export class Duplicates {
	#younger = new Map<string, Answer | undefined>();
	#older: ReadonlyMap<string, Answer | undefined> = new Map();
	#since = performance.now();
	readonly #replies = Buffer.allocUnsafeSlow(REPLY_BYTES);
	#written = 0;

	/** What became of a request that came before; undefined when this is the first with its id, which is now taken. */
	take(uniqueId: string | undefined): "being worked on" | { readonly reply: Buffer } | undefined {
		if (uniqueId === undefined) return undefined;
		this.#forget();
		const half = [this.#younger, this.#older].find((known) => known.has(uniqueId));
		const answer = half?.get(uniqueId);
		if (half && answer === undefined) return "being worked on";
		const reply = answer && this.#read(answer);
		if (reply === undefined) this.#younger.set(uniqueId, undefined);
		return reply && { reply };
	}

	answered(uniqueId: string | undefined, reply: Buffer): void {
		if (uniqueId !== undefined) this.#younger.set(uniqueId, this.#write(reply));
	}

	#forget(): void {
		const age = performance.now() - this.#since;
		if (this.#younger.size < HALF.requests && age < HALF.ms) return;
		this.#older = age < 2 * HALF.ms ? this.#younger : new Map();
		this.#younger = new Map();
		this.#since += age;
	}

	#write(reply: Buffer): Answer {
		const room = REPLY_BYTES - (this.#written % REPLY_BYTES);
		// One that does not fit before the end starts at the beginning.
		if (reply.length > room) this.#written += room;
		reply.copy(this.#replies, this.#written % REPLY_BYTES);
		const answer = { at: this.#written, length: reply.length };
		this.#written += reply.length;
		return answer;
	}

	/** A copy; undefined when younger replies lie where it was. */
	#read({ at, length }: Answer): Buffer | undefined {
		if (this.#written - at > REPLY_BYTES) return undefined;
		const start = at % REPLY_BYTES;
		return Buffer.from(this.#replies.subarray(start, start + length));
	}
}
