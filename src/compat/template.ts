/** A variable of a block: one of these values, the same wherever the block names it. */
export interface Variable {
	readonly name: string;
	readonly kind: "int" | "string";
	readonly values: readonly string[];
}

/** A value with variables in it; the grammar is template.bnf. */
export interface Template {
	/** Literals as text, variables as an object. */
	readonly parts: readonly (string | { readonly variable: string })[];
	/** Divides the only part, a variable; 1 when there is no division. */
	readonly divisor: number;
}

export class MalformedTemplate extends Error {
	override readonly name = "MalformedTemplate";
}

/** Variables and the texts between them; the samples of the thread have three. */
const MAX_PARTS = 1024;

const VARIABLE = /^\{([A-Za-z_][A-Za-z0-9_]*)(?::(int|string):([^{}]*))?\}/;
const QUOTED_LIST = /^"[^"]*"(?:,"[^"]*")*$/;
const OPERATOR = /^[*+/%]/;

/**
 * Reads a value. A definition is added to `variables`; a reference must name one that is there already (D2). Throws
 * MalformedTemplate.
 */
export function parseTemplate(text: string, variables: Map<string, Variable>): Template {
	const parts: (string | { readonly variable: string })[] = [];
	let rest = text;
	while (rest !== "") {
		if (parts.length === MAX_PARTS)
			throw new MalformedTemplate(`more than ${MAX_PARTS} variables and texts in one value`);
		const [whole, name, kind, list] = VARIABLE.exec(rest) ?? [];
		if (whole === undefined || name === undefined) {
			const literal = /^[^{}"]+/.exec(rest)?.[0];
			if (literal === undefined) throw new MalformedTemplate(`unexpected ${rest.charAt(0)} in ${text}`);
			const [only] = parts;
			const divisor = /^\/(\d+)$/.exec(rest)?.[1];
			if (divisor !== undefined && parts.length === 1 && typeof only === "object") {
				return { parts, divisor: parseDivisor(divisor, variables.get(only.variable)) };
			}
			if (typeof parts.at(-1) === "object" && OPERATOR.test(literal)) {
				throw new MalformedTemplate(`expected nothing but /<integer> after a sole variable, got ${literal} in ${text}`);
			}
			parts.push(literal);
			rest = rest.slice(literal.length);
			continue;
		}
		if (kind === "int" || kind === "string") define({ name, kind, values: parseList(kind, String(list)) }, variables);
		else if (!variables.has(name)) throw new MalformedTemplate(`variable ${name} is used before it is defined`);
		parts.push({ variable: name });
		rest = rest.slice(whole.length);
	}
	return { parts, divisor: 1 };
}

function define(variable: Variable, variables: Map<string, Variable>): void {
	if (variables.has(variable.name)) throw new MalformedTemplate(`variable ${variable.name} is defined twice`);
	variables.set(variable.name, variable);
}

function parseList(kind: Variable["kind"], list: string): readonly string[] {
	if (kind === "int") return list.split(",").map((item) => String(parseInteger(item.trim())));
	const compact = list.replace(/"\s*,\s*"/g, '","').trim();
	if (!QUOTED_LIST.test(compact)) throw new MalformedTemplate(`expected a list of quoted strings, got ${list}`);
	return compact.slice(1, -1).split('","');
}

/** Unsigned decimal that a double holds exactly (D4); leading zeros do not count (D5). */
function parseInteger(text: string): number {
	const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
	if (!Number.isSafeInteger(value)) throw new MalformedTemplate(`expected an integer of at most 2^53-1, got "${text}"`);
	return value;
}

function parseDivisor(text: string, dividend: Variable | undefined): number {
	if (dividend?.kind !== "int") throw new MalformedTemplate("only an int variable can be divided");
	const divisor = parseInteger(text);
	if (divisor === 0) throw new MalformedTemplate("division by zero");
	return divisor;
}

/** The names of the variables that must be bound before the template can be compared. */
export function variablesOf({ parts }: Template): readonly string[] {
	return parts.flatMap((part) => (typeof part === "object" ? [part.variable] : []));
}

/**
 * Whether the value is what the template says under these bindings: the whole text, anchored. A field that is one int
 * variable and nothing else is compared as a number (D5), a quotient exactly: 1/2 equals nothing (D3). `spelled` makes of a
 * text the one spelling that values have.
 */
export function matches(
	{ parts, divisor }: Template,
	value: string,
	bindings: ReadonlyMap<string, string>,
	variables: ReadonlyMap<string, Variable>,
	spelled: (text: string) => string = (text) => text,
): boolean {
	const [part] = parts;
	if (parts.length === 1 && typeof part === "object" && variables.get(part.variable)?.kind === "int") {
		return /^\d{1,16}$/.test(value) && Number(value) * divisor === Number(bindings.get(part.variable));
	}
	return value === spelled(parts.map((one) => (typeof one === "string" ? one : bindings.get(one.variable))).join(""));
}
