import { isMap, isScalar, isSeq, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";
import { type Overlay, type OverlayEntry, OverlayError } from "./overlay.ts";

const ATTRIBUTE_NAME = /^[a-z0-9][a-z0-9_./-]{0,127}$/;
const DATE: Form = { test: isDate };
const SOURCE = /^[\x20-\x7e]{1,200}$/;
/** As much as a file of sysfs can hold, and the characters that may be in one. */
const VALUE = /^[\x20-\x7e\t\n]{0,4096}$/;

/** A regular expression, or what none can say. */
type Form = Pick<RegExp, "test">;

/** What the text of one overlay says. @throws {OverlayError} with every problem and its place */
export function parseOverlay(text: string, path: string, file: string): Overlay {
	const lines = new LineCounter();
	const document = parseDocument(text, { lineCounter: lines, schema: "failsafe", prettyErrors: false });
	const problems = document.errors.map(({ code, pos, message }) => {
		const isSecond = code === "MULTIPLE_DOCS";
		return {
			offset: pos[0],
			message: isSecond ? "expected nothing behind the end of the document, ... or a second ---" : message,
		};
	});
	const reader = new Reader((offset, message) => problems.push({ offset, message }));
	const overlay = problems.length > 0 ? undefined : reader.overlay(document.contents, file);
	if (overlay !== undefined && problems.length === 0) return overlay;
	const told = problems.map(({ offset, message }) => {
		const { line, col } = lines.linePos(offset);
		return `${path}:${line}:${col}: ${message}`;
	});
	throw new OverlayError(told.join("\n"));
}

type Shown = Node | null | undefined;

/** Reads nodes of YAML as what they should be, and reports each that is not with what was expected. */
class Reader {
	readonly #report: (offset: number, message: string) => void;

	constructor(report: (offset: number, message: string) => void) {
		this.#report = report;
	}

	overlay(node: Shown, file: string): Overlay | undefined {
		const found = this.#map(node, "the file", ["source", "date", "devices"], node);
		if (found === undefined) return undefined;
		return {
			file,
			source: this.#text(found.get("source"), "source", SOURCE, "where the values come from, in ASCII", node),
			date: this.#text(found.get("date"), "date", DATE, "a date as YYYY-MM or YYYY-MM-DD", node),
			devices: this.#list(found.get("devices"), "devices", node).flatMap((entry) => this.#entry(entry) ?? []),
		};
	}

	#entry(node: Shown): OverlayEntry | undefined {
		const found = this.#map(node, "an item of devices", ["match", "attributes"], node);
		const match = found && this.#map(found.get("match"), "match", undefined, node);
		const attributes = found && this.#map(found.get("attributes"), "attributes", undefined, node);
		if (match === undefined || attributes === undefined) return undefined;
		return {
			match: Object.fromEntries(
				[...match].map(([name, value]) => [name, this.#patterns(value, `match.${name}`, node)]),
			),
			attributes: Object.fromEntries(
				[...attributes].map(([name, value]) => [
					name,
					// A block of text ends with a newline, the text of a file of sysfs does not.
					this.#text(value, `attributes.${name}`, VALUE, "ASCII text of at most 4096 characters", node).replace(
						/\n$/,
						"",
					),
				]),
			),
		};
	}

	/** One pattern or a list of them. */
	#patterns(node: Shown, name: string, parent: Shown): readonly string[] {
		const nodes = isSeq(node) ? this.#list(node, name, parent) : [node];
		return nodes.map((one) => this.#text(one, name, VALUE, "a text or a list of texts", parent));
	}

	/** The values of a map that has something in it; with `keys` no others than those, else only names of attributes. */
	#map(
		node: Shown,
		name: string,
		keys: readonly string[] | undefined,
		parent: Shown,
	): ReadonlyMap<string, Shown> | undefined {
		if (!isMap(node) || node.items.length === 0) {
			this.#report(
				offsetOf(node ?? parent),
				`${name} ${given(node)}, expected a map${keys ? ` of ${keys.join(", ")}` : ""}`,
			);
			return undefined;
		}
		const entries = (node as YAMLMap<Node, Shown>).items.map(
			(pair) => [this.#key(pair, name, keys), pair.value] as const,
		);
		return new Map(entries);
	}

	#key({ key }: Pair<Node, Shown>, name: string, keys: readonly string[] | undefined): string {
		const text = isScalar(key) ? String(key.value) : "";
		const isGood = keys === undefined ? ATTRIBUTE_NAME.test(text) : keys.includes(text);
		const expected = keys === undefined ? "a name of a-z, 0-9, _ . / and -" : keys.join(", ");
		if (!isGood) this.#report(offsetOf(key), `${name} has the key ${JSON.stringify(text)}, expected ${expected}`);
		return text;
	}

	#list(node: Shown, name: string, parent: Shown): readonly Shown[] {
		if (isSeq(node) && node.items.length > 0) return node.items as readonly Shown[];
		this.#report(offsetOf(node ?? parent), `${name} ${given(node)}, expected a list`);
		return [];
	}

	#text(node: Shown, name: string, form: Form, expected: string, parent: Shown): string {
		const text = isScalar(node) ? String(node.value) : undefined;
		if (text !== undefined && form.test(text)) return text;
		this.#report(offsetOf(node ?? parent), `${name} ${given(node)}, expected ${expected}`);
		return "";
	}
}

function given(node: Shown): string {
	if (node === undefined || node === null) return "is missing";
	if (isScalar(node)) return `is ${JSON.stringify(String(node.value).slice(0, 100))}`;
	if (isMap(node)) return node.items.length === 0 ? "is empty" : "is a map";
	if (isSeq(node)) return node.items.length === 0 ? "is empty" : "is a list";
	return "is an alias";
}

function offsetOf(node: Shown): number {
	return node?.range?.[0] ?? 0;
}

/** A month or a day of the calendar. */
function isDate(text: string): boolean {
	const time = /^\d{4}-\d{2}(-\d{2})?$/.test(text) ? Date.parse(text) : Number.NaN;
	// Every month has 31 days when it is parsed.
	return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}
