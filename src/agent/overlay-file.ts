import { readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { isThere, readBounded } from "./bounded-file.ts";
import { type Overlay, OverlayError } from "./overlay.ts";
import { DEFAULT_OVERLAY_DIR } from "./places.ts";

const MAX_OVERLAY_BYTES = 1024 * 1024;

/** The name goes into reasons, which say it in one word. */
const FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.yaml$/;

/** A directory that somebody has named should be there; the default one need not, without it there is nothing to add. */
export function isOverlayDirMissing(directory: string): boolean {
	return directory !== DEFAULT_OVERLAY_DIR && !isThere(directory);
}

/**
 * The overlays of a directory, by file name; none when there is no directory, see `isOverlayDirMissing`. In YAML every scalar is the text that it is:
 * 1.10 is not 1.1.
 * @throws {OverlayError} for a file that cannot be used: without it devices would be described otherwise than the operator wants
 */
export async function readOverlays(directory: string): Promise<readonly Overlay[]> {
	const files = yamlFiles(directory);
	if (files.length === 0) return [];
	// A scan is a process of its own, and most hosts have no overlay to load a parser for.
	const { parseOverlay } = await import("./overlay-yaml.ts");
	return files.map((file) => {
		const path = join(directory, file);
		if (!FILE_NAME.test(file)) throw new OverlayError(`${path}: expected a name of letters, digits, ".", "_" and "-"`);
		try {
			// Links are how configuration management puts files into place.
			const content = readBounded(realpathSync(path), MAX_OVERLAY_BYTES);
			if (!("errno" in content)) return parseOverlay(wholeText(content, path), path, file);
			throw new OverlayError(`${path}: ${content.errno}: expected a regular file of at most 1 MiB that can be read`);
		} catch (cause) {
			if (cause instanceof OverlayError) throw cause;
			throw new OverlayError(`${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
		}
	});
}

/** Cut within a line, a file can be YAML as well, and say something else: of the range 2.1.0-2.1.4 the end is missing. */
function wholeText(content: Buffer, path: string): string {
	const text = content.toString();
	if (text.endsWith("\n")) return text;
	const line = text.split("\n").length;
	throw new OverlayError(`${path}:${line}: expected a newline at the end: is the file only half written?`);
}

function yamlFiles(directory: string): readonly string[] {
	try {
		return readdirSync(directory)
			.filter((name) => name.endsWith(".yaml"))
			.sort();
	} catch (cause) {
		if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return [];
		const why = cause instanceof Error ? cause.message : String(cause);
		throw new OverlayError(`overlay directory ${directory} cannot be listed: ${why}`, { cause });
	}
}
