import { normalise } from "./normalise.ts";
import { MalformedTemplate, matches, parseTemplate, type Template, type Variable, variablesOf } from "./template.ts";

/** The fields of a SELF block: concrete text by key. */
export type Self = ReadonlyMap<string, string>;

/** One COMPATIBLE block: every field must hold, under one assignment of the variables. */
export interface Block {
	/** Line of its header, from 1. */
	readonly line: number;
	readonly fields: readonly Field[];
	readonly variables: ReadonlyMap<string, Variable>;
}

interface Field {
	readonly key: string;
	/** The value as it was written. */
	readonly text: string;
	readonly template: Template;
}

/** A block that breaks the grammar is void, the others count (D2). */
export interface VoidBlock {
	readonly line: number;
	readonly problem: string;
}

export interface Blocks {
	readonly self: Self | undefined;
	readonly compatible: readonly (Block | VoidBlock)[];
}

/** A file that is no list of blocks; `line` counts from 1. */
export class MalformedBlocks extends Error {
	override readonly name = "MalformedBlocks";
}

const MAX_BYTES = 64 * 1024;
const MAX_ASSIGNMENTS = 4096;
/** What all the blocks of one file may cost together: a hostile file must not hold up the decision. */
const MAX_STEPS = 10_000;
/** The samples of the thread have 20. */
const MAX_LINES = 1024;

/**
 * Reads a file of blocks; `headless` says which block the fields before any header belong to (format F1). Throws
 * MalformedBlocks. The grammar is blocks.bnf.
 */
export function parseBlocks(text: string, headless?: "SELF" | "COMPATIBLE"): Blocks {
	if (text.length > MAX_BYTES) throw new MalformedBlocks(`more than ${MAX_BYTES} characters`);
	const lines = text.split("\n");
	if (lines.length > MAX_LINES) throw new MalformedBlocks(`more than ${MAX_LINES} lines`);
	const sections = readSections(lines, headless);
	const self = sections.find(({ kind }) => kind === "SELF");
	return {
		self: self && new Map([...self.fields].map(([key, value]) => [key, normalise(key, unquote(value))])),
		compatible: sections
			.filter(({ kind }) => kind === "COMPATIBLE")
			.map(({ line, fields }) => parseBlock(line, fields)),
	};
}

interface Section {
	readonly kind: "SELF" | "COMPATIBLE";
	readonly line: number;
	readonly fields: Map<string, string>;
}

function readSections(lines: readonly string[], headless: Section["kind"] | undefined): readonly Section[] {
	const implied: Section | undefined = headless && { kind: headless, line: 1, fields: new Map() };
	const sections: Section[] = implied ? [implied] : [];
	for (const [index, raw] of lines.entries()) {
		const line = index + 1;
		const content = withoutComment(raw).trim();
		if (content === "") continue;
		const header = /^(SELF|COMPATIBLE):$/.exec(content)?.[1];
		if (header === "SELF" || header === "COMPATIBLE") {
			// A headless file may have headers all the same.
			if (implied?.fields.size === 0 && sections[0] === implied) sections.pop();
			if (header === "SELF" && sections.length > 0)
				throw new MalformedBlocks(`line ${line}: SELF must come once and first`);
			sections.push({ kind: header, line, fields: new Map() });
			continue;
		}
		const [, name, value] = /^([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)$/.exec(content) ?? [];
		if (name === undefined || value === undefined) {
			throw new MalformedBlocks(`line ${line}: expected SELF:, COMPATIBLE: or key=value`);
		}
		const fields = sections.at(-1)?.fields;
		const key = name.toLowerCase();
		if (fields === undefined) throw new MalformedBlocks(`line ${line}: a field before SELF: or COMPATIBLE:`);
		if (fields.has(key)) throw new MalformedBlocks(`line ${line}: ${key} is given twice in one block`);
		fields.set(key, value);
	}
	return sections;
}

/** Reads the fields of one COMPATIBLE block; also those of a directory with one file a field (format F2). */
export function parseBlock(line: number, fields: ReadonlyMap<string, string>): Block | VoidBlock {
	const variables = new Map<string, Variable>();
	try {
		const parsed = [...fields].map(([key, text]) => ({ key, text, template: parseValue(text, variables) }));
		const assignments = [...variables.values()].reduce((product, { values }) => product * values.length, 1);
		if (assignments > MAX_ASSIGNMENTS)
			return { line, problem: `${assignments} combinations, expected at most ${MAX_ASSIGNMENTS}` };
		return { line, fields: parsed, variables };
	} catch (error) {
		if (error instanceof MalformedTemplate) return { line, problem: error.message };
		throw error;
	}
}

function parseValue(text: string, variables: Map<string, Variable>): Template {
	if (!text.startsWith('"')) return parseTemplate(text, variables);
	const value = unquote(text);
	if (value.includes('"')) throw new MalformedTemplate(`expected one quoted text, got ${text}`);
	return { parts: [value], divisor: 1 };
}

function withoutComment(line: string): string {
	return line.replace(/("[^"]*")|#.*/g, (_whole, quoted?: string) => quoted ?? "");
}

/** SELF has concrete texts, in quotes or without. */
export function unquote(text: string): string {
	return /^".*"$/.test(text) ? text.slice(1, -1) : text;
}

/** Counts down over all blocks of a file; a file that uses it up is not looked at any further. */
export class StepBudget {
	#left = MAX_STEPS;

	spend(steps: number): boolean {
		this.#left -= steps;
		return this.#left >= 0;
	}
}

/** A variable, and the fields that can be compared once it and those before it are bound. */
interface Stage {
	readonly variable: Variable;
	readonly fields: readonly Field[];
}

/**
 * The fields that differ from SELF under the assignment of the block's variables that leaves the fewest; undefined when
 * the budget ran out. Binds one variable after the other and leaves an assignment as soon as it is no better than the best
 * so far. Of equally good ones it takes that in which the earlier fields fit: what a device is stands before how it is
 * set up.
 */
export function evaluate({ fields, variables }: Block, self: Self, budget: StepBudget): readonly Field[] | undefined {
	const order = [...variables.values()];
	const stageOf = ({ template }: Field) => order.findLastIndex(({ name }) => variablesOf(template).includes(name));
	const stages = order.map((variable, stage) => ({
		variable,
		fields: fields.filter((field) => stageOf(field) === stage),
	}));
	const bindings = new Map<string, string>();
	let best: readonly Field[] | undefined;
	let exhausted = false;

	/** An empty value means absent or empty (D6); an absent one fits nothing else (D7). */
	function fits({ key, template }: Field): boolean {
		return matches(template, self.get(key) ?? "", bindings, variables, (text) => normalise(key, text));
	}
	function compare(compared: readonly Field[]): readonly Field[] {
		exhausted = !budget.spend(1 + compared.length);
		return compared.filter((field) => !fits(field));
	}
	/** Tries the values that leave the fewest and the latest fields differing first. */
	function visit([next, ...rest]: readonly Stage[], mismatches: readonly Field[]): void {
		if (next === undefined) {
			best = mismatches;
			return;
		}
		const options = [];
		for (const value of next.variable.values) {
			bindings.set(next.variable.name, value);
			const found = compare(next.fields);
			if (exhausted) return;
			options.push({ value, found, first: next.fields.findIndex((field) => found.includes(field)) });
		}
		options.sort((one, two) => one.found.length - two.found.length || two.first - one.first);
		for (const { value, found } of options) {
			if (exhausted || (best !== undefined && mismatches.length + found.length >= best.length)) return;
			bindings.set(next.variable.name, value);
			visit(rest, [...mismatches, ...found]);
		}
	}

	visit(stages, compare(fields.filter((field) => stageOf(field) < 0)));
	return exhausted ? undefined : best;
}
