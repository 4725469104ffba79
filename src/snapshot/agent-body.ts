import { Readable } from "node:stream";
import { MAX_BODY_BYTES } from "./limits.ts";

/** 8 MiB in the smallest segments that hosts agree on by themselves (536 bytes) are less; who sends more wants to keep us busy. */
const MAX_PIECES = 16_384;

/** An agent does not answer so; the message says with what it was. */
export const ANSWER_REFUSED = "ERR_AGENT_ANSWER";

/** The body of a response as it comes, within limits of its bytes and of the memory of who collects its pieces. */
export class BoundedBody extends Readable {
	readonly #response: Readable;
	#bytes = 0;
	#pieces = 0;

	constructor(response: Readable) {
		super();
		this.#response = response;
		response
			.on("data", (piece: Buffer) => this.#take(piece))
			.once("error", (error) => this.destroy(error))
			.once("end", () => this.push(null));
	}

	override _read(): void {
		// It comes by itself.
	}

	override _destroy(error: Error | null, done: (error: Error | null) => void): void {
		this.#response.destroy();
		done(error);
	}

	#take(piece: Buffer): void {
		// The rest of what was read from the socket when it was too much.
		if (this.destroyed) return;
		this.#bytes += piece.length;
		this.#pieces++;
		if (this.#bytes > MAX_BODY_BYTES) this.destroy(refusal(`more than ${MAX_BODY_BYTES} bytes`));
		else if (this.#pieces > MAX_PIECES) this.destroy(refusal(`more than ${MAX_PIECES} pieces`));
		else this.push(holdsMore(piece) ? Buffer.from(piece) : piece);
	}
}

/** A piece is a view of all that was read from the socket at once, and holds that, be it a byte of it. */
function holdsMore(piece: Buffer): boolean {
	return piece.buffer.byteLength > 2 * piece.length;
}

export function refusal(what: string): Error {
	return Object.assign(new Error(what), { code: ANSWER_REFUSED });
}
