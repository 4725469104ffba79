import { randomBytes } from "node:crypto";
import { InvalidMessage } from "./errors.ts";

/** Nova's deepest message, a live migration's request, has 11 levels. */
export const MAX_DEPTH = 64;
/** Brackets, commas, colons, strings, numbers and words; Nova's longest message has 1,600. */
export const MAX_TOKENS = 200_000;
/** Of those, the numbers that JSON.parse cannot read: each costs as much as ten others. No message of Nova's has any. */
export const MAX_SPECIAL_NUMBERS = 20_000;
/**
 * In one object; an Instance of Nova has 70. One string may be as long as the message, unlike in SEC-03: it costs no more than its
 * bytes, and oslo.messaging takes it. Of what Nova sends src/nova reads none that is longer than it may be.
 */
export const MAX_KEYS = 4_096;
/** Python's own limit (`sys.get_int_max_str_digits`): the time to read digits grows faster than their number. */
export const MAX_INTEGER_DIGITS = 4_300;
/** A text so short is parsed within milliseconds whatever it holds, and has no more tokens than it may. */
const SHORT = 64 * 1024;

const TOO_DEEP = `is nested deeper than ${MAX_DEPTH} levels`;
const TOO_MANY_KEYS = `has an object of more than ${MAX_KEYS} keys`;

const TOKEN = /["[\]{},:]|[-+.\w]+/g;
/** What JSON.parse refuses, or may round. */
const SPECIAL = /^(?:NaN|-?Infinity|-?[1-9]\d{15,})$/;
/** Marks a number that passes JSON.parse or JSON.stringify as a string. Random, so that no message can hold it. */
const TAG = `${randomBytes(8).toString("hex")}:`;
const TAGGED = new RegExp(`"${TAG}([^"]*)"`, "g");

/**
 * Reads JSON as Python does (json of CPython, by oslo_serialization/jsonutils.py): NaN and the infinities are numbers, integers beyond
 * 2^53 are bigints. Throws InvalidMessage for what Python refuses and for what is too much; the parser's own error would quote the
 * text, which may hold a secret.
 */
export function parseJson(text: string, what = "the text"): unknown {
	const parsed = text.length <= SHORT ? tryParse(text) : undefined;
	if (parsed !== undefined && !hasSpecialNumber(parsed, MAX_KEYS, (is) => new InvalidMessage(`${what} ${is}`))) {
		return parsed;
	}
	const specials = findSpecialNumbers(text, what);
	const careful = tryParse(tag(text, specials));
	if (careful === undefined) throw new InvalidMessage(`${what} is not JSON`);
	return specials.length === 0 ? careful : untag(careful);
}

/**
 * Writes JSON as Python does. Numbers beyond 2^53 keep an exponent, because they are floats to Python. Throws TypeError
 * for what is too deep, or has no end.
 */
export function toJson(value: unknown, indent = 0): string {
	if (!hasSpecialNumber(value, Number.POSITIVE_INFINITY, (is) => new TypeError(`the value ${is}`)))
		return JSON.stringify(value, null, indent) ?? "null";
	const tagSpecial = (_key: string, item: unknown) => (isSpecial(item) ? `${TAG}${digits(item)}` : item);
	return JSON.stringify(value, tagSpecial, indent).replace(TAGGED, "$1");
}

function tryParse(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

/** Whether a number in the value needs care; goes no deeper than a message may, and throws what `refusal` makes of what is too much. */
function hasSpecialNumber(value: unknown, maxKeys: number, refusal: (is: string) => Error, depth = 0): boolean {
	if (typeof value !== "object" || value === null) return isSpecial(value);
	if (depth === MAX_DEPTH) throw refusal(TOO_DEEP);
	if (Array.isArray(value)) {
		for (const item of value) if (hasSpecialNumber(item, maxKeys, refusal, depth + 1)) return true;
		return false;
	}
	const fields = value as Readonly<Record<string, unknown>>;
	let keys = 0;
	for (const key in fields) {
		if (++keys > maxKeys) throw refusal(TOO_MANY_KEYS);
		if (hasSpecialNumber(fields[key], maxKeys, refusal, depth + 1)) return true;
	}
	return false;
}

function isSpecial(value: unknown): value is number | bigint {
	if (typeof value === "number") return !(Math.abs(value) <= Number.MAX_SAFE_INTEGER);
	return typeof value === "bigint";
}

function digits(value: number | bigint): string {
	return typeof value === "number" && Number.isFinite(value) ? value.toExponential() : String(value);
}

/** Where the numbers start and end that JSON.parse cannot read; one linear pass, which refuses what is too much. */
function findSpecialNumbers(text: string, what: string): readonly number[] {
	const found: number[] = [];
	/** Of the object that is open, by depth. */
	const keys: number[] = [];
	let [depth, afterSpecial] = [0, false];
	TOKEN.lastIndex = 0;
	for (let tokens = 1; ; tokens++) {
		const token = TOKEN.exec(text)?.[0];
		if (token === undefined) return found;
		if (tokens > MAX_TOKENS) throw new InvalidMessage(`${what} has more than ${MAX_TOKENS} tokens`);
		// A number is no key, and must not become one.
		if (token === ":" && afterSpecial) throw new InvalidMessage(`${what} is not JSON`);
		afterSpecial = SPECIAL.test(token);
		if (afterSpecial) {
			if (token.replace("-", "").length > MAX_INTEGER_DIGITS) {
				throw new InvalidMessage(`${what} has an integer of more than ${MAX_INTEGER_DIGITS} digits`);
			}
			if (found.length === 2 * MAX_SPECIAL_NUMBERS) {
				throw new InvalidMessage(
					`${what} has more than ${MAX_SPECIAL_NUMBERS} numbers that are none of JSON's, or beyond 2^53`,
				);
			}
			found.push(TOKEN.lastIndex - token.length, TOKEN.lastIndex);
		} else if (token === '"') TOKEN.lastIndex = endOfString(text, TOKEN.lastIndex);
		else if (token === "[" || token === "{") {
			if (++depth > MAX_DEPTH) throw new InvalidMessage(`${what} ${TOO_DEEP}`);
			keys[depth] = 0;
		} else if (token === ":") {
			keys[depth] = (keys[depth] ?? 0) + 1;
			if (Number(keys[depth]) > MAX_KEYS) throw new InvalidMessage(`${what} ${TOO_MANY_KEYS}`);
		} else if (token === "]" || token === "}") depth--;
	}
}

/** The index after the quote that ends a string. */
function endOfString(text: string, start: number): number {
	for (let quote = text.indexOf('"', start); quote !== -1; quote = text.indexOf('"', quote + 1)) {
		let content = quote;
		while (content > start && text[content - 1] === "\\") content--;
		if ((quote - content) % 2 === 0) return quote + 1;
	}
	return text.length;
}

function tag(text: string, specials: readonly number[]): string {
	const pieces: string[] = [];
	let copied = 0;
	for (const at of specials) {
		pieces.push(text.slice(copied, at));
		copied = at;
	}
	pieces.push(text.slice(copied));
	// Every other piece is a number.
	return pieces.map((piece, index) => (index % 2 === 0 ? piece : `"${TAG}${piece}"`)).join("");
}

/** Puts the numbers in their places, which is safe for a key `__proto__` too: it is there already. */
function untag(value: unknown): unknown {
	if (typeof value === "string") return value.startsWith(TAG) ? numberOf(value.slice(TAG.length)) : value;
	if (typeof value !== "object" || value === null) return value;
	if (Array.isArray(value)) return value.map(untag);
	const fields = value as Record<string, unknown>;
	for (const key of Object.keys(fields)) fields[key] = untag(fields[key]);
	return value;
}

function numberOf(token: string): number | bigint {
	const number = Number(token);
	return /\d$/.test(token) && !Number.isSafeInteger(number) ? BigInt(token) : number;
}
