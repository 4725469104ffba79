import { readFileSync } from "node:fs";
import { parseJson } from "../messaging/json.ts";
import { UsageError } from "./exit-codes.ts";

export type Fields = Readonly<Record<string, unknown>>;

const STDIN = 0;

/** Keyword arguments of a method: `name=value` each, or one JSON object, or `-` for one on standard input. */
export function readArguments(words: readonly string[]): Fields {
	const [first = "", ...others] = words;
	if (first !== "-" && !first.trimStart().startsWith("{")) return readPairs(words, "argument");
	const source = first === "-" ? "standard input" : "the argument";
	if (others.length > 0)
		throw new UsageError(`${source} is all arguments, expected no other ${JSON.stringify(others[0])}`);
	return readObject(first === "-" ? readFileSync(STDIN, "utf8") : first, source);
}

/** `name=value` each; a value is JSON when it can be read as that, else the text that it is. */
export function readPairs(words: readonly string[], what: string): Fields {
	const pairs = words.map((word) => {
		const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(word) ?? [];
		if (name === undefined || value === undefined) {
			throw new UsageError(`${what} is ${JSON.stringify(word)}, expected name=value`);
		}
		return [name, readValue(value)] as const;
	});
	const names = pairs.map(([name]) => name);
	const twice = names.find((name, index) => names.indexOf(name) < index);
	if (twice !== undefined) throw new UsageError(`${what} ${twice} is there twice`);
	return Object.fromEntries(pairs);
}

function readValue(text: string): unknown {
	try {
		return parseJson(text);
	} catch {
		return text;
	}
}

function readObject(text: string, source: string): Fields {
	const value = readValue(text);
	if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
	throw new UsageError(`${source} is not a JSON object`);
}
