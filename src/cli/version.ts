import { existsSync, readFileSync } from "node:fs";

/** As it is built, and as its sources lie. */
const PACKAGES = ["../../../package.json", "../../package.json"];

/** Of this program. */
export function version(): string {
	const found = PACKAGES.map((path) => new URL(path, import.meta.url)).find((url) => existsSync(url));
	return found ? JSON.parse(readFileSync(found, "utf8")).version : "unknown";
}
