import { printable } from "../log/printable.ts";

/** Says something about the work on standard error; standard output is for its result. */
export function complain(text: string): void {
	process.stderr.write(`novacompat: ${printable(text)}\n`);
}
