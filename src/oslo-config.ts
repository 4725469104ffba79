import { readFileSync } from "node:fs";
import { ConfigError } from "./yaml.ts";

/** One option in one file; `value` is the text as it is written, without quotes. */
interface Assignment {
	readonly file: string;
	/** Where it starts, from 1. */
	readonly line: number;
	readonly section: string;
	readonly key: string;
	readonly value: string;
}

/** An option may have been in other places in the past. */
export type Place = readonly [section: string, key: string];

/** `$$` and `\$` are a "$"; `$name`, `${name}` and `${section.name}` are values of other options. */
const REFERENCE = /\\\$|\$\$|\$([_a-z][._a-z0-9]*)|\$\{([_a-z][._a-z0-9]*)\}/gi;

/** Files in the dialect of oslo.config (oslo_config/iniparser.py, cfg.py); the last file that sets an option wins. */
export class OsloConfig {
	readonly #lastFileFirst: readonly (readonly Assignment[])[];

	/** Throws ConfigError with file:line. */
	constructor(files: readonly string[]) {
		this.#lastFileFirst = files.map((file) => parseIni(readText(file), file)).reverse();
	}

	/** Within one file the first place wins, within one place the last assignment. */
	get(places: readonly Place[]): Assignment | undefined {
		for (const assignments of this.#lastFileFirst) {
			for (const [section, key] of places) {
				const found = assignments.findLast((one) => one.key === key && normalise(one.section) === normalise(section));
				if (found) return found;
			}
		}
		return undefined;
	}

	/** The value with those of other options in it. What Python takes from a default has to be set here. */
	substituted(assignment: Assignment, within: readonly Assignment[] = []): string {
		const { file, line, section, key, value } = assignment;
		const fail = (what: string): never => {
			// Not the name: it may be what follows a "$" in a password.
			throw new ConfigError(`${file}:${line}: ${key} refers to ${what}, expected a value, or $$ for a "$"`);
		};
		return value.replace(REFERENCE, (_all, plain?: string, braced?: string) => {
			const name = plain ?? braced;
			if (name === undefined) return "$";
			const found = this.#find(name, section) ?? fail("an option that these files do not set");
			if (found === assignment || within.includes(found)) return fail("itself");
			return this.substituted(found, [...within, assignment]);
		});
	}

	#find(name: string, section: string): Assignment | undefined {
		const dot = name.indexOf(".");
		const place: Place = dot < 0 ? [section, name] : [name.slice(0, dot), name.slice(dot + 1)];
		return this.get([place]) ?? this.get([["DEFAULT", name]]);
	}
}

function normalise(section: string): string {
	return section === "DEFAULT" ? section : section.toLowerCase();
}

function readText(file: string): string {
	try {
		return readFileSync(file, "utf8");
	} catch (cause) {
		throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
	}
}

/** Errors quote nothing: any line may hold a password. */
function parseIni(text: string, file: string): readonly Assignment[] {
	const assignments: Assignment[] = [];
	let section: string | undefined;
	/** What a continuation line belongs to: the assignment right above it. */
	let open: Assignment | undefined;
	for (const [index, untrimmed] of text.split(/\r\n|\r|\n/).entries()) {
		const line = untrimmed.trimEnd();
		const fail = (expected: string): never => {
			throw new ConfigError(`${file}:${index + 1}: expected ${expected}`);
		};
		if (/^[ \t]/.test(line)) {
			if (!open) return fail("no white space before this, or an assignment right above it to be continued");
			open = { ...open, value: `${open.value}\n${line.trimStart()}` };
			assignments.splice(-1, 1, open);
			continue;
		}
		open = undefined;
		if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
		if (line.startsWith("[")) {
			section = /^\[(.+)\]$/.exec(line)?.[1] ?? fail("[section] and nothing behind it");
			continue;
		}
		const [, key, value = ""] = /^([^:=]*)[:=](.*)$/.exec(line) ?? fail("[section], key = value or a comment");
		if (!key?.trim()) return fail("a key before the = or :");
		if (section === undefined) return fail("a [section] before the first assignment");
		open = { file, line: index + 1, section, key: key.trim(), value: unquoted(value.trim()) };
		assignments.push(open);
	}
	return assignments;
}

/** A quote alone opens and closes, as in Python. */
function unquoted(value: string): string {
	const [quote] = value;
	return (quote === '"' || quote === "'") && value.endsWith(quote) ? value.slice(1, -1) : value;
}
