import { z } from "../zod.ts";
import { Snapshot } from "./snapshot.ts";

/** Far above what 8,192 devices need; what a parser makes of more takes a multiple of their bytes. */
const MAX_PARTS = 200_000;
const [OPEN_OBJECT, OPEN_LIST, QUOTE, BACKSLASH] = [0x7b, 0x5b, 0x22, 0x5c];

/** Not a snapshot; the message says what was expected where. */
export class NoSnapshot extends Error {
	override readonly name = "NoSnapshot";
}

/** The snapshot in the body of an answer, or NoSnapshot. */
export function readSnapshot(body: Buffer): Snapshot {
	if (partsOf(body) > MAX_PARTS) throw new NoSnapshot(`more than ${MAX_PARTS} objects and lists`);
	const result = Snapshot.safeParse(parse(body));
	if (result.success) return result.data;
	const [issue] = result.error.issues;
	const where = issue?.path.join(".") ?? "";
	throw new NoSnapshot(`no snapshot: ${where}: ${issue?.message ?? z.prettifyError(result.error)}`);
}

function parse(body: Buffer): unknown {
	try {
		return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
	} catch (cause) {
		throw new NoSnapshot("a body that is not JSON", { cause });
	}
}

/** Objects and lists; in a string there are none: an attribute may be JSON itself. */
function partsOf(body: Buffer): number {
	let parts = 0;
	for (let at = 0; at < body.length; at++) {
		const byte = body[at];
		if (byte === OPEN_OBJECT || byte === OPEN_LIST) parts++;
		else if (byte === QUOTE) at = endOfString(body, at);
	}
	return parts;
}

/** Where the string that begins there ends; at the end of the body or behind it, if it does not. */
function endOfString(body: Buffer, start: number): number {
	let at = start + 1;
	while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
	return at;
}
