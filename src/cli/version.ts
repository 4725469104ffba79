import { existsSync, readFileSync } from "node:fs";

/** As it is built, and as its sources lie. */
const PACKAGES = ["../../../package.json", "../../package.json"];

interface Build {
	readonly version: string;
	/** Of the repository, where a package was built of it: npm's `gitHead`. */
	readonly commit: string;
}

/** Of which sources this program is. */
export function build(): Build {
	const found = PACKAGES.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
	const { version = "unknown", gitHead = "unknown" } = found ? JSON.parse(readFileSync(found, "utf8")) : {};
	return { version, commit: gitHead };
}
