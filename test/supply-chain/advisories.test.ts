import { readFileSync } from "node:fs";
import semver from "semver";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { REPOSITORY } from "../support/cli.ts";
import type { Lockfile } from "./lockfile.ts";

interface Looked {
	/** Of a direct dependency. */
	readonly version?: string;
	readonly advisories: readonly { readonly id: string; readonly fixed: string }[];
}
interface Review {
	readonly reviewed: string;
	readonly direct: Readonly<Record<string, Looked>>;
	readonly indirect: Readonly<Record<string, Looked>>;
}

const review = parse(readFileSync(`${import.meta.dirname}/advisories.yaml`, "utf8")) as Review;
const { packages } = JSON.parse(readFileSync(`${REPOSITORY}package-lock.json`, "utf8")) as Lockfile;

/** All that are installed under the name at run time: a package can be there twice. */
const versionsOf = (name: string) =>
	Object.entries(packages)
		.filter(([path, { dev, devOptional }]) => path.endsWith(`node_modules/${name}`) && !dev && !devOptional)
		.map(([, { version = "" }]) => version);

describe("SEC-52: what is known against what runs with novacompat", () => {
	test("was looked at on a day that has been, for every direct dependency in the version that is installed", () => {
		expect(Date.parse(review.reviewed)).toBeLessThanOrEqual(Date.now());
		const versions = Object.entries(review.direct).map(([name, { version }]) => [name, version]);
		expect(Object.fromEntries(versions)).toEqual(packages[""]?.["dependencies"]);
	});

	const known = Object.entries({ ...review.direct, ...review.indirect }).flatMap(([name, { advisories }]) =>
		advisories.map(({ id, fixed }) => [name, id, fixed] as const),
	);
	test.each(known)("%s: %s is mended", (name, _id, fixed) => {
		const versions = versionsOf(name);
		expect(versions).not.toEqual([]);
		for (const version of versions) expect(semver.gte(version, fixed), `${name}@${version}`).toBe(true);
	});
});
