import { readFileSync } from "node:fs";
import {
	isAlias,
	isMap,
	isNode,
	isScalar,
	LineCounter,
	type Node,
	parseDocument,
	visit,
	type YAMLMap,
	type YAMLParseError,
} from "yaml";
import type { z } from "./zod.ts";

/** A file of the operator's that cannot be used; every problem has its place as `file:line:column`. */
export class ConfigError extends Error {
	override readonly name = "ConfigError";
}

type Path = readonly PropertyKey[];

/** What is needed of a zod schema: the agent has one without that package. */
export interface Schema<T> {
	safeParse(
		value: unknown,
	):
		| { readonly success: true; readonly data: T }
		| { readonly success: false; readonly error: { readonly issues: readonly z.core.$ZodIssue[] } };
}

/**
 * Reads a YAML file into what the schema says, or throws a ConfigError that lists every problem with its place.
 * With the `failsafe` flavour every scalar stays the text that it is: 1.10 is not 1.1.
 */
export function readYaml<T>(file: string, schema: Schema<T>, flavour: "core" | "failsafe" = "core"): T {
	return readYamlWithPlaces(file, schema, flavour).value;
}

/** What files say, and where: `placeOf(["rules", 0])` is `file:line:column`, `fileOf` the file alone. */
export interface Placed<T> {
	readonly value: T;
	readonly placeOf: (path: Path) => string;
	readonly fileOf: (path: Path) => string;
}

/** One file, as it is written. */
interface Written {
	readonly file: string;
	readonly document: ReturnType<typeof parseDocument>;
	/** `file:line:column` of a place in the text. */
	readonly at: (offset: number) => string;
}

/** The same as `readYaml`, for whoever has more to say about what is in the file; of several the later ones win, option by option. */
export function readYamlWithPlaces<T>(
	files: string | readonly string[],
	schema: Schema<T>,
	flavour: "core" | "failsafe",
): Placed<T> {
	return checked(
		[files].flat().map((file) => read(file, flavour)),
		schema,
	);
}

/** That the last line of a text is YAML's document end marker, `...`: nothing of it has been cut off then. */
export function isClosed(text: string): boolean {
	return text.trimEnd().split("\n").at(-1) === "...";
}

function read(file: string, flavour: "core" | "failsafe"): Written {
	let text: string;
	try {
		text = readFileSync(file, "utf8");
	} catch (cause) {
		throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
	}
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, schema: flavour, prettyErrors: false });
	const at = (offset: number) => {
		const { line, col } = lines.linePos(offset);
		return `${file}:${line}:${col}`;
	};
	if (document.errors.length > 0) {
		throw new ConfigError(
			document.errors.map((error) => `${at(error.pos[0])}: ${withoutText(problemOf(error))}`).join("\n"),
		);
	}
	visit(document, {
		Pair(_, { key }) {
			if (!isScalar(key)) {
				const problem = "expected a name before the colon: a text with braces wants quotes";
				throw new ConfigError(`${at(startOf(key))}: ${problem}`);
			}
			// Host 0010 is neither 10 nor 8.
			key.value = key.source ?? key.value;
		},
		Alias(_, alias) {
			if (alias.resolve(document)) return;
			const problem = `*${quotable(alias.source)} is an alias of nothing: a text that begins with * wants quotes`;
			throw new ConfigError(`${at(startOf(alias))}: ${problem}`);
		},
	});
	return { file, document, at };
}

/** What is wrong with a document, where the parser says it to programmers. */
function problemOf({ code, message }: YAMLParseError): string {
	return code === "MULTIPLE_DOCS" ? "expected nothing behind the end of the document, ... or a second ---" : message;
}

/** What the parser stumbles over may be a password. */
function withoutText(message: string): string {
	return message.replace(/(?<= in YAML stream): .*$/s, "");
}

/** What somebody wrote, without the password of a URL and what is in a PEM file. */
export function quotable(text: string): string {
	return text.replace(/:\/\/.*@/s, "://***@").replace(/-----BEGIN .*?("?)$/s, "-----BEGIN ***$1");
}

function checked<T>(written: readonly Written[], schema: Schema<T>): Placed<T> {
	const result = schema.safeParse(written.map(contentOf).reduce(merged, {}));
	const place = (path: Path, part: "key" | "value") => {
		const { document, at } = sourceOf(written, path);
		return at(offsetOf(document.contents, path, part));
	};
	if (result.success) {
		return {
			value: result.data,
			placeOf: (path) => place(path, "value"),
			fileOf: (path) => sourceOf(written, path).file,
		};
	}
	const problems = result.error.issues.flatMap((issue) => {
		const name = issue.path.length === 0 ? "" : `${issue.path.join(".")}: `;
		if (issue.code === "unrecognized_keys") {
			const names = issue.message.split(" ");
			return issue.keys.map(
				(key) => `${place([...issue.path, key], "key")}: unknown option "${quotable(key)}"${alike(key, names)}`,
			);
		}
		if (issue.code === "invalid_key")
			return issue.issues.map(({ message }) => `${place(issue.path, "key")}: ${name}${message}`);
		// Our own messages name the value themselves, or keep it to themselves because it holds a password.
		const isOurs = issue.code === "custom" || issue.path.length === 0;
		const got = isOurs ? "" : given(sourceOf(written, issue.path), issue);
		return [`${place(issue.path, "value")}: ${name}${expectation(issue)}${got}`];
	});
	throw new ConfigError(problems.join("\n"));
}

/** The options that may be meant, which begin as what was written does. */
function alike(key: string, names: readonly string[]): string {
	const found = names.filter((name) => name.startsWith(key.slice(0, 2)));
	return found.length === 0 ? "" : `, expected ${found.join(" or ")}?`;
}

/** What zod calls otherwise. */
const WORDS: Readonly<Record<string, string>> = {
	object: "a mapping",
	record: "a mapping",
	array: "a list",
	string: "a text",
	number: "a number",
	int: "a whole number",
	boolean: "true or false",
};

function expectation(issue: z.core.$ZodIssue): string {
	const { message } = issue;
	if (issue.code !== "invalid_type" || !message.startsWith("Invalid input: ")) return message;
	const expected = `expected ${WORDS[issue.expected] ?? issue.expected}`;
	if (message.endsWith(", received undefined")) return `is missing, ${expected}`;
	return issue.path.length === 0 ? `${expected}, option: value with a blank behind the colon` : expected;
}

/** What stands at the place of an issue, as it is written; where that is missing, one word may stand for all of the mapping. */
function given({ document }: Written, issue: z.core.$ZodIssue): string {
	const depth = issue.path.findLastIndex((_, last) => document.hasIn(issue.path.slice(0, last + 1)));
	const found = document.getIn(issue.path.slice(0, depth + 1), true);
	const node = isAlias(found) ? found.resolve(document) : found;
	const isOtherwise = issue.code === "invalid_type" || issue.code === "invalid_value";
	if (!isScalar(node)) {
		const isThere = depth === issue.path.length - 1;
		return isOtherwise && isThere ? `, got a ${isMap(node) ? "mapping" : "list"}` : "";
	}
	if (typeof node.value === "string") return `, got ${quotable(JSON.stringify(node.value))}`;
	if (!node.source) return ", got nothing";
	const isMeantAsText = issue.code === "invalid_type" && issue.expected === "string";
	return `, got ${quotable(node.source)}${isMeantAsText ? ", which wants quotes" : ""}`;
}

/** A file of comments says nothing; with the end marker, the failsafe flavour makes an empty text of that. */
function contentOf({ document, at }: Written): unknown {
	try {
		const content: unknown = document.toJS();
		return content === "" ? {} : (content ?? {});
	} catch (cause) {
		// Aliases of aliases, which would fill the memory.
		if (cause instanceof ReferenceError) throw new ConfigError(`${at(0)}: ${cause.message}`, { cause });
		throw cause;
	}
}

/** The last file that has what is at the path; or the most of the way to it, and then the first. */
function sourceOf(written: readonly Written[], path: Path): Written {
	for (let depth = path.length; depth > 0; depth--) {
		const found = written.findLast(({ document }) => document.hasIn(path.slice(0, depth)));
		if (found) return found;
	}
	const [first] = written;
	if (!first) throw new Error("a configuration is at least one file");
	return first;
}

/** Mappings are put together, of anything else the later one wins. */
function merged(earlier: unknown, later: unknown): unknown {
	if (!isMapping(earlier) || !isMapping(later)) return later;
	const both = Object.keys(later).filter((key) => Object.hasOwn(earlier, key));
	return { ...earlier, ...later, ...Object.fromEntries(both.map((key) => [key, merged(earlier[key], later[key])])) };
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Where the node at a path starts; of its nearest parent when the node is missing. */
function offsetOf(root: Node | null, path: Path, part: "key" | "value"): number {
	let node: unknown = root;
	let offset = startOf(root);
	for (const [depth, step] of path.entries()) {
		const pair = isMap(node) ? pairOf(node, step) : undefined;
		const value = pair
			? pair.value
			: isNode(node) && "get" in node && typeof node.get === "function"
				? node.get(step, true)
				: undefined;
		const isLast = depth === path.length - 1;
		if (isLast && part === "key" && pair && isNode(pair.key)) return startOf(pair.key);
		if (value === undefined || value === null) return offset;
		node = value;
		offset = startOf(value);
	}
	return offset;
}

function pairOf(map: YAMLMap, key: PropertyKey) {
	return map.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
}

function startOf(node: unknown): number {
	return isNode(node) && node.range ? node.range[0] : 0;
}
