import { randomBytes, randomUUID } from "node:crypto";

/** Fields whose values, or items, name somebody's request, instance, project or queue, whatever form they have. */
const ID_FIELD =
	/^(uuid|instances?|instance_uuid|_msg_id|_unique_id|_reply_q|(_context_)?(request_id|global_request_id|user_id|project_id))$/;
/** Whose it is nobody need know: of an instance, a port, a boot of a host, a mediated device. */
const UUID = /(?<![0-9a-f])[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(?![0-9a-f])/gi;
/** An id of a project or a message looks like this, and so does the name of a snapshot in a journal. */
const HEX = /(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])/gi;
const PREFIX = /^(?:req-|reply_)/;

/**
 * Other ids in the place of ids, the same for the same id, of the same form. Nobody can tell which, because they are random and
 * forgotten. UUIDs keep their order: of devices that are as good as each other a decision takes the first. Names of hosts and PCI
 * addresses stay: a decision says them in its texts.
 */
export class Pseudonyms {
	/** In lower case. */
	readonly #uuids = new Set<string>();
	/** All others, without prefix, to what is in their place. */
	readonly #others = new Map<string, string>();
	#inOrder: ReadonlyMap<string, string> = new Map();

	/** Learns which ids there are, before any is replaced. */
	learn(value: unknown): void {
		if (typeof value === "string") for (const [uuid] of value.matchAll(UUID)) this.#uuids.add(uuid.toLowerCase());
		if (typeof value !== "object" || value === null) return;
		for (const [field, item] of Object.entries(value)) {
			const ids = ID_FIELD.test(field) ? [item].flat().filter((id) => typeof id === "string") : [];
			for (const id of ids) this.#learnId(id.replace(PREFIX, ""));
			this.learn(field);
			this.learn(item);
		}
	}

	/** The same with every id that was learnt replaced, in whatever text it is. */
	applyTo<T>(value: T): T {
		if (this.#inOrder.size < this.#uuids.size) this.#inOrder = inOrder(this.#uuids);
		return this.#apply(value) as T;
	}

	#learnId(id: string): void {
		if (id === "" || this.#others.has(id) || wholly(UUID, id)) return;
		const bytes = randomBytes(16).toString("hex");
		this.#others.set(id, wholly(HEX, id) ? bytes : `id-${bytes.slice(0, 12)}`);
	}

	#apply(value: unknown): unknown {
		if (typeof value === "string") return this.#asWhole(value) ?? this.#inText(value);
		if (Array.isArray(value)) return value.map((item) => this.#apply(item));
		if (typeof value !== "object" || value === null) return value;
		return Object.fromEntries(Object.entries(value).map(([key, item]) => [this.#inText(key), this.#apply(item)]));
	}

	#asWhole(text: string): string | undefined {
		const other = this.#others.get(text.replace(PREFIX, ""));
		return other && `${PREFIX.exec(text)?.[0] ?? ""}${other}`;
	}

	#inText(text: string): string {
		return text
			.replace(UUID, (uuid) => {
				const pseudonym = this.#inOrder.get(uuid.toLowerCase()) ?? uuid;
				return uuid === uuid.toLowerCase() ? pseudonym : pseudonym.toUpperCase();
			})
			.replace(HEX, (id) => this.#others.get(id) ?? id);
	}
}

/** To each a random one, so that both stand in the same order. */
function inOrder(uuids: ReadonlySet<string>): ReadonlyMap<string, string> {
	const random = new Set<string>();
	while (random.size < uuids.size) random.add(randomUUID());
	const pseudonyms = [...random].sort();
	return new Map([...uuids].sort().map((uuid, index) => [uuid, pseudonyms[index] ?? uuid]));
}

function wholly(form: RegExp, text: string): boolean {
	return text.replace(form, "") === "";
}
