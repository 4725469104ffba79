import type { Decision } from "../compat/decision.ts";
import { reasonText } from "../compat/summary.ts";
import { printable } from "../log/printable.ts";
import { toJson } from "../messaging/json.ts";

/**
 * Bytes of a reply about one check (SEC-05): who names a queue in a request can have no more than that written into it. A ranking
 * is about as many as 1,024 hosts, of which the scheduler's filter needs every one: it may be as long as messages are.
 */
export const MAX_REPLY_BYTES = 64 * 1024;

/** What is left of them beside the ids of the call and the envelope. */
const ROOM = MAX_REPLY_BYTES - 8 * 1024;
/** Bytes that one character may become as JSON in JSON: a control character, `\\u0001`. */
const LONGEST_CHARACTER = 7;
/** The same for the text of a failure, which is JSON in JSON in JSON (`\\\\u0001`) and is there three times. */
const LONGEST_IN_FAILURE = 3 * 9;

/** A decision as it is told: where there was no room for all of it, how much is missing. */
export type Told<T extends Decision = Decision> = T & { readonly left_out?: { readonly reasons: number } };

/** With as many of the reasons as there is room for, the decisive ones first as they are. */
export function told<T extends Decision>(decision: T): Told<T> {
	const { reasons, mapping } = decision;
	const length = reasons.reduce((sum, reason) => sum + lengthOf(reason), lengthOf(mapping) + lengthOf(decision));
	if (length * LONGEST_CHARACTER <= ROOM) return decision;
	let room = ROOM - bytesOf({ ...decision, reasons: [], left_out: { reasons: reasons.length } });
	const enough = reasons.findIndex((reason) => {
		room -= bytesOf(reason) + 1;
		return room < 0;
	});
	if (enough < 0) return decision;
	return { ...decision, reasons: reasons.slice(0, enough), left_out: { reasons: reasons.length - enough } };
}

/** The messages of the errors on one line, as many as there is room for in a failure, and how many more there are. */
export function toldText(decision: Decision): string {
	const text = printable(reasonText(decision));
	if (text.length * LONGEST_IN_FAILURE <= ROOM || fitsFailure(text)) return text;
	const errors = decision.reasons.filter(({ severity }) => severity === "error");
	for (let count = errors.length >> 1; count > 0; count >>= 1) {
		const first = printable(reasonText({ ...decision, reasons: errors.slice(0, count) }));
		const shorter = `${first} (+${errors.length - count} more)`;
		if (fitsFailure(shorter)) return shorter;
	}
	return decision.text;
}

function fitsFailure(text: string): boolean {
	return 3 * bytesOf(JSON.stringify(text)) <= ROOM;
}

/** Bytes on the bus: JSON in a string in JSON. */
function bytesOf(value: unknown): number {
	return Buffer.byteLength(JSON.stringify(toJson(value)));
}

/** Characters of the names and texts of an object, and more than enough for what stands between them. */
function lengthOf(fields: object): number {
	let length = 8;
	for (const name in fields) {
		const value: unknown = fields[name as keyof typeof fields];
		length += name.length + 8 + (typeof value === "string" ? value.length : 8);
	}
	return length;
}
