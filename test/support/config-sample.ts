import { readFileSync } from "node:fs";
import { stringify } from "yaml";

const README = `${import.meta.dirname}/../../config/README.md`;

/** Of what has no default, by name: a value to begin with. */
export type Examples = Readonly<Record<string, unknown>>;

/**
 * A configuration file in which every option is commented out, with what config/README.md says of it and its default, as
 * oslo-config-generator writes them.
 * @param section of config/README.md, with a table of option, default and meaning
 */
export function configSample(head: string, section: string, names: readonly string[], examples: Examples): string {
	const rows = rowsOf(section);
	const options = names.map((name) => {
		const { meaning, preset } = rows.get(name) ?? fail(`no row for ${name} in ${section} of config/README.md`);
		if (preset === "none" && !(name in examples)) fail(`${name} has no default: give an example of it`);
		const value =
			name in examples ? stringify(examples[name], { collectionStyle: "flow", lineWidth: 0 }) : `${preset}\n`;
		return `${comment(meaning)}#${name}: ${value}`;
	});
	return `${comment(head)}\n${options.join("\n")}`;
}

function fail(message: string): never {
	throw new Error(message);
}

/** The same with every option in force. */
export function uncommented(sample: string): string {
	return sample.replace(/^#(?! )/gm, "");
}

function rowsOf(section: string): ReadonlyMap<string, { readonly meaning: string; readonly preset: string }> {
	const [, text = ""] = readFileSync(README, "utf8").split(`\n## ${section}\n`);
	const [table = ""] = text.split("\n## ", 1);
	const rows = [...table.matchAll(/^\| `(\w+)` \| (.*?) \| (.*) \|$/gm)];
	return new Map(
		rows.map(([, name = "", preset = "", meaning = ""]) => [name, { meaning: plain(meaning), preset: plain(preset) }]),
	);
}

/** Markdown without its marks; what is below is in another file. */
function plain(text: string): string {
	return text
		.replace(/[,;] \[see below\]\([^)]*\)/g, "")
		.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1")
		.replaceAll("`", "");
}

function comment(text: string): string {
	return text.replace(/(.{1,110})(?: |$)/g, "# $1\n");
}
