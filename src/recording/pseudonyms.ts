import { createHmac, randomBytes } from "node:crypto";

/** Fields whose values, or items, name somebody's request, instance, project or queue. */
const ID_FIELD =
	/^(uuid|instances?|instance_uuid|_msg_id|_unique_id|_reply_q|(_context_)?(request_id|global_request_id|user_id|project_id))$/;
/** What ids look like inside of texts. */
const TOKEN = /\b(?:req-|reply_)?(?:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32})\b/g;
const PREFIX = /^(?:req-|reply_)/;

/**
 * Other ids in the place of ids, the same for the same id, of the same form and length. Nobody can tell which, because the key is
 * forgotten. Names of hosts and devices stay: a decision says them in its texts, and orders by them.
 */
export class Pseudonyms {
	readonly #key = randomBytes(32);
	readonly #known = new Set<string>();

	/** Learns which values are ids, before any is replaced. */
	learn(value: unknown): void {
		if (typeof value !== "object" || value === null) return;
		for (const [field, item] of Object.entries(value)) {
			const ids = ID_FIELD.test(field) ? [item].flat().filter((id) => typeof id === "string") : [];
			for (const id of ids) this.#known.add(id);
			this.learn(item);
		}
	}

	/** The same with every id that was learnt replaced, in whatever text it is. */
	applyTo<T>(value: T): T {
		return this.#apply(value) as T;
	}

	#apply(value: unknown): unknown {
		if (typeof value === "string") return this.#known.has(value) ? this.#pseudonym(value) : this.#inText(value);
		if (Array.isArray(value)) return value.map((item) => this.#apply(item));
		if (typeof value !== "object" || value === null) return value;
		return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.#inText(key), this.#apply(item)]));
	}

	#inText(text: string): string {
		return text.replace(TOKEN, (token) => (this.#known.has(token) ? this.#pseudonym(token) : token));
	}

	#pseudonym(id: string): string {
		const bare = id.replace(PREFIX, "");
		const digits = createHmac("sha256", this.#key).update(bare).digest("hex");
		if (!/^[0-9a-f-]{32,36}$/.test(bare)) return `id-${digits.slice(0, 12)}`;
		let next = 0;
		return id.slice(0, id.length - bare.length) + bare.replace(/[0-9a-f]/g, () => digits[next++] ?? "0");
	}
}
