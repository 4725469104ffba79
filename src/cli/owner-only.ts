import { chmodSync, statSync } from "node:fs";
import { ConfigError } from "../yaml.ts";

/** A regular file that is there already is for nobody but its owner from now on: mode 0600. Throws ConfigError where that cannot be. */
export function ownerOnly(file: string): void {
	const found = statSync(file, { throwIfNoEntry: false });
	if (!found?.isFile() || (found.mode & 0o077) === 0) return;
	try {
		chmodSync(file, 0o600);
	} catch (cause) {
		const mode = (found.mode & 0o777).toString(8).padStart(4, "0");
		const why = cause instanceof Error ? cause.message : String(cause);
		throw new ConfigError(`${file} has mode ${mode}, expected 0600, and it cannot be changed: ${why}`, { cause });
	}
}
