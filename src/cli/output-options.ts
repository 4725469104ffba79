import { type Command, Option } from "commander";

const FORMATS = ["table", "json", "yaml", "value", "csv"] as const;

/** How a command prints what it has found, by the names of OpenStack's own clients. `more`: formats that only this one has. */
export function outputOptions(command: Command, more: readonly string[] = []): Command {
	return command
		.addOption(new Option("-f, --format <format>", "output").choices([...FORMATS, ...more]).default("table"))
		.option("-c, --column <name>", "only this column or field; may be repeated", collect)
		.option("-q, --quiet", "print nothing: the exit code tells")
		.option("--no-color", "no colours, as with NO_COLOR in the environment");
}

export function collect(text: string, previous: readonly string[] = []): readonly string[] {
	return [...previous, text];
}

/** An option that takes one word, and may be repeated: one that takes more of them takes the arguments behind it, too. */
export function repeatable(flags: string, description: string, unless?: readonly string[]): Option {
	return new Option(flags, `${description}; may be repeated`)
		.default(unless, unless?.length === 0 ? "none" : undefined)
		.argParser((text: string, previous?: readonly string[]) => collect(text, previous === unless ? [] : previous));
}
