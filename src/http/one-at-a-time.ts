import { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Over TLS a client may have an answer, and ask again, before node:http knows that it is sent. */
const MAX_UNANSWERED = 2;
const unanswered = new WeakMap<Socket, number>();

/**
 * A request, or the end of its connection if others there have no answer yet: no client of ours sends one before it has the answer to
 * another. node:http parses all that it reads, 64 KiB or 2,000 requests, and keeps them until it has read from all other connections, too,
 * also when this one is closed meanwhile. Only a change of protocols stops its parser, so a request too many says that it is one.
 */
export class OneAtATime extends IncomingMessage {
	readonly #isTooMany: boolean;

	constructor(socket: Socket) {
		super(socket);
		const before = unanswered.get(socket) ?? 0;
		this.#isTooMany = before >= MAX_UNANSWERED;
		unanswered.set(socket, before + 1);
	}

	/** Read by node:http, which then emits `upgrade`. */
	get upgrade(): boolean {
		return this.#isTooMany;
	}

	/** What the client wants: there is no other protocol here. */
	set upgrade(_isWanted: unknown) {}

	/** Another one may come. */
	answered(): void {
		unanswered.set(this.socket, (unanswered.get(this.socket) ?? 1) - 1);
	}
}
