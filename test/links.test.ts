import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { REPOSITORY } from "./support/cli.ts";

/** A document without its blocks of code, in which `#` begins a comment. */
const proseOf = (path: string) => readFileSync(join(REPOSITORY, path), "utf8").replace(/^ *```.*?^ *```$/gms, "");

/** GitHub's names of headings; of two that are the same, the second one has a number. */
function anchorsOf(path: string): ReadonlySet<string> {
	const seen = new Map<string, number>();
	const anchors = [...proseOf(path).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => {
		const name = heading
			.toLowerCase()
			.replace(/[^\p{L}\p{N}_ -]/gu, "")
			.replaceAll(" ", "-");
		const before = seen.get(name) ?? 0;
		seen.set(name, before + 1);
		return before === 0 ? name : `${name}-${before}`;
	});
	return new Set(anchors);
}

/** Links to files of the repository, and to places in them. */
const linksOf = (path: string) =>
	[...proseOf(path).matchAll(/\]\((?!https?:)([^)\s#]*)(?:#([^)\s]*))?\)/g)].map(([link, file = "", anchor]) => {
		return { link, to: file === "" ? path : join(dirname(path), file), anchor };
	});

test.each(["README.md", "config/README.md"])("every link in %s leads somewhere", (path) => {
	const links = linksOf(path);
	expect(links.length).toBeGreaterThan(0);
	const dead = links.filter(({ to, anchor }) => {
		return !existsSync(join(REPOSITORY, to)) || (anchor !== undefined && !anchorsOf(to).has(anchor));
	});
	expect(dead.map(({ link }) => link)).toEqual([]);
});
