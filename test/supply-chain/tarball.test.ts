import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { REPOSITORY } from "../support/cli.ts";
import { temporaryDirectory } from "../support/temporary.ts";

/** The names in it, and the checksum of all of it. */
function pack(directory: string): { readonly names: readonly string[]; readonly sha512: string } {
	mkdirSync(directory);
	const words = ["pack", "--silent", "--ignore-scripts", "--pack-destination", directory];
	const file = join(directory, execFileSync("npm", words, { cwd: REPOSITORY, encoding: "utf8" }).trim());
	const list = execFileSync("tar", ["-tzf", file], { encoding: "utf8" });
	return {
		names: list
			.trimEnd()
			.replaceAll(/^package\//gm, "")
			.split("\n")
			.sort(),
		sha512: createHash("sha512").update(readFileSync(file)).digest("hex"),
	};
}

const filesBelow = (folder: string, ending: string) =>
	readdirSync(`${REPOSITORY}${folder}`, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile() && entry.name.endsWith(ending))
		.map((entry) => join(entry.parentPath, entry.name).slice(REPOSITORY.length));

let first: ReturnType<typeof pack>;
let second: ReturnType<typeof pack>;
const directory = temporaryDirectory(afterAll);

beforeAll(() => {
	first = pack(join(directory, "first"));
	second = pack(join(directory, "second"));
});

test("SEC-53: `npm pack` twice is the same, byte for byte", () => {
	expect(first.sha512).toBe(second.sha512);
});

test("SEC-53: in it is the program as it is built, the configuration, and what tells of both", () => {
	const built = filesBelow("src", ".ts")
		.filter((file) => !file.endsWith(".d.ts"))
		.map((file) => `dist/${file.replace(/\.ts$/, ".js")}`);
	// npm packs no symbolic links, of which the sample hosts are made; what makes other packages is in none.
	const isLeftOut = (name: string) => /^config\/(samples\/hosts|packaging)\//.test(name);
	const configuration = filesBelow("config", "").filter((name) => !isLeftOut(name));
	const expected = [...built, ...configuration, "LICENSE", "README.md", "package.json"];
	expect(first.names).toEqual(expected.sort());
});
