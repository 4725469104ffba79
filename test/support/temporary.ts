import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A directory for one test, or for all of a file or a block of it with `afterAll`, outside of every hook: in one, nothing would end it. */
export function temporaryDirectory(end: (clean: () => void) => void = onTestFinished): string {
	const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
	end(() => rmSync(directory, { recursive: true, force: true }));
	return directory;
}
