import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** Real programs, as shell scripts by name, in a directory that is removed when the running test has finished. */
export function writePrograms<Name extends string>(
	scripts: Readonly<Record<Name, string>>,
): Readonly<Record<Name, string>> {
	const directory = mkdtempSync(join(tmpdir(), "novacompat-programs-"));
	onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
	const paths = Object.entries<string>(scripts).map(([name, script]) => {
		const path = join(directory, name);
		writeFileSync(path, `#!/bin/sh\n${script}\n`);
		chmodSync(path, 0o755);
		return [name, path] as const;
	});
	return Object.fromEntries(paths) as Record<Name, string>;
}
