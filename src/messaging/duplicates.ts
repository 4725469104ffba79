import { LRUCache } from "lru-cache";

const REMEMBERED = { max: 4_096, ttl: 60_000, maxSize: 16 * 1024 * 1024 };
const BEING_WORKED_ON = Buffer.alloc(0);

/**
 * The requests that were taken, by `_unique_id` (_MsgIdCache of oslo_messaging/_drivers/amqp.py, which remembers sixteen).
 * Beside Python's it keeps the reply, for a caller who may not have got it.
 */
export class Duplicates {
	readonly #replies = new LRUCache<string, Buffer>({ ...REMEMBERED, sizeCalculation: (reply) => reply.length + 64 });

	/** What became of a request that came before; undefined when this is the first with its id, which is now taken. */
	take(uniqueId: string | undefined): "being worked on" | { readonly reply: Buffer } | undefined {
		if (uniqueId === undefined) return undefined;
		const reply = this.#replies.get(uniqueId);
		if (reply !== undefined) return reply === BEING_WORKED_ON ? "being worked on" : { reply };
		this.#replies.set(uniqueId, BEING_WORKED_ON);
		return undefined;
	}

	answered(uniqueId: string | undefined, reply: Buffer): void {
		if (uniqueId !== undefined) this.#replies.set(uniqueId, reply);
	}
}
