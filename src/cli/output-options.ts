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
