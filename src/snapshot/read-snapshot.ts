import { z } from "../zod.ts";
import { Snapshot } from "./snapshot.ts";

/** Far above what 8,192 devices need; what a parser makes of more takes a multiple of their bytes. */
const MAX_PARTS = 200_000;
/** V8 makes a hidden class for each: those take a multiple again, of time, too. A host has some hundreds. */
const MAX_SHAPES = 20_000;
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST] = [0x7b, 0x7d, 0x5b, 0x5d];
const [QUOTE, BACKSLASH, COLON] = [0x22, 0x5c, 0x3a];
const SPACES: readonly (number | undefined)[] = [0x20, 0x09, 0x0a, 0x0d];

/** Not a snapshot; the message says what was expected where. */
export class NoSnapshot extends Error {
	override readonly name = "NoSnapshot";
}

/** The snapshot in the body of an answer, or NoSnapshot. */
export function readSnapshot(body: Buffer): Snapshot {
	checkCost(body);
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

/** What objects have in common that begin with the same names, by the name that comes next. */
interface Shape extends Map<string, Shape> {}

/** Counts what a parser would make of it. In a string there is nothing: an attribute may be JSON itself. */
function checkCost(body: Buffer): void {
	const empty: Shape = new Map();
	/** Of the objects and lists around. */
	const around: Shape[] = [];
	let shape = empty;
	let [parts, shapes] = [0, 0];
	for (let at = 0; at < body.length; at++) {
		const byte = body[at];
		if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
			if (++parts > MAX_PARTS) throw new NoSnapshot(`more than ${MAX_PARTS} objects and lists`);
			around.push(shape);
			shape = empty;
		} else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
			shape = around.pop() ?? empty;
		} else if (byte === QUOTE) {
			const end = endOfString(body, at);
			if (isName(body, end)) {
				const name = body.toString("latin1", at + 1, end);
				const known = shape.get(name);
				if (!known && ++shapes > MAX_SHAPES) {
					throw new NoSnapshot(`more than ${MAX_SHAPES} different sequences of names`);
				}
				const next: Shape = known ?? new Map();
				if (!known) shape.set(name, next);
				shape = next;
			}
			at = end;
		}
	}
}

/** Where the string that begins there ends; at the end of the body or behind it, if it does not. */
function endOfString(body: Buffer, start: number): number {
	let at = start + 1;
	while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
	return at;
}

/** Whether the string that ends there is that of a member. */
function isName(body: Buffer, end: number): boolean {
	let at = end + 1;
	while (SPACES.includes(body[at])) at++;
	return body[at] === COLON;
}
