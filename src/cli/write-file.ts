import { writeFileSync } from "node:fs";

/** Node.js names the file that it cannot open, but not one for which the disk has no room. */
export function writeFile(file: string, text: string, mode?: number): void {
	try {
		writeFileSync(file, text, { mode });
	} catch (error) {
		throw naming(file, error as NodeJS.ErrnoException);
	}
}

/** The error with the file in its message. */
export function naming(file: string, error: NodeJS.ErrnoException): NodeJS.ErrnoException {
	if (error.path === undefined) error.message = `${file}: ${error.message}`;
	return error;
}
