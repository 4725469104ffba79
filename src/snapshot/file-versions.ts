import { statSync } from "node:fs";

/** Changes when a file does, also when another one takes its place, who may read it is another, or it cannot be looked at any more. */
export function fileVersions(paths: readonly string[]): string {
	return paths.map(fileVersion).join(" ");
}

/** Of what cannot be looked at why not: whoever reads it tells that better. */
function fileVersion(path: string): string {
	try {
		const { ino, ctimeNs, size } = statSync(path, { bigint: true });
		return `${ino} ${ctimeNs} ${size}`;
	} catch (error) {
		return String((error as NodeJS.ErrnoException).code);
	}
}
