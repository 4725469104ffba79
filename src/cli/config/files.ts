import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ConfigError } from "../../yaml.ts";

/** What --config-file and --config-dir say, as oslo.config has them. */
export interface ConfigFileOptions {
	readonly configFile?: readonly string[];
	readonly configDir?: readonly string[];
}

/** The files of a configuration, later ones win: those that are named, then those of directories by name. Throws ConfigError. */
export function configFiles({ configFile = [], configDir = [] }: ConfigFileOptions): readonly string[] {
	return [...configFile, ...configDir.flatMap(yamlFilesIn)];
}

function yamlFilesIn(directory: string): readonly string[] {
	try {
		const names = readdirSync(directory).filter((name) => name.endsWith(".yaml") && !name.startsWith("."));
		return names.sort().map((name) => join(directory, name));
	} catch (cause) {
		throw new ConfigError(`${directory}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
	}
}
