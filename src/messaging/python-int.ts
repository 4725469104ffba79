import { MAX_INTEGER_DIGITS } from "./json.ts";

const INTEGER = /^\s*[+-]?\d+(_\d+)*\s*$/;

/** What Python's int() makes of a text, as far as a number has room for it; undefined for what it refuses, and for digits of other scripts. */
export function pythonInt(text: string): number | undefined {
	const isInteger = text.length <= MAX_INTEGER_DIGITS && INTEGER.test(text);
	return isInteger ? Number(text.replaceAll("_", "")) : undefined;
}
