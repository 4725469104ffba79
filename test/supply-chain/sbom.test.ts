import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { REPOSITORY } from "../support/cli.ts";
import { sbom } from "./sbom.ts";

const schema = (name: string) => JSON.parse(readFileSync(`${import.meta.dirname}/${name}.schema.json`, "utf8"));
const approved = parse(readFileSync(`${import.meta.dirname}/approved.yaml`, "utf8"), { schema: "failsafe" });

/** What CycloneDX itself publishes: OWASP, Apache License 2.0. */
const validate = new Ajv({
	strict: false,
	validateFormats: false,
	schemas: [schema("spdx"), schema("jsf-0.82")],
}).compile(schema("cyclonedx-1.5"));

test("SEC-52: `npm run sbom` is a document of CycloneDX 1.5, by its schema", () => {
	const document = sbom(REPOSITORY);
	expect(validate(document), JSON.stringify(validate.errors, null, 2)).toBe(true);
	expect(validate({ ...document, components: [{ name: "no type" }] })).toBe(false);
});

test("SEC-52: it has exactly what runs with novacompat, with checksum and licence", () => {
	const { metadata, components } = sbom(REPOSITORY);
	expect(metadata.component.purl).toMatch(/^pkg:npm\/novacompat@\d/);
	expect(components.map(({ name, version }) => `${name}@${version}`).sort()).toEqual(approved.runtime);
	for (const { name, hashes = [], licenses } of components) {
		expect(
			hashes.map(({ alg }) => alg),
			name,
		).toEqual(["SHA-512"]);
		for (const { license } of licenses) expect(approved.licences, name).toContain(license.id);
		expect(licenses, name).toHaveLength(1);
	}
});

test("the same lockfile makes the same document, in which everything is needed by something", () => {
	const { components, dependencies, ...first } = sbom(REPOSITORY);
	expect(sbom(REPOSITORY)).toEqual({ components, dependencies, ...first });
	const needed = dependencies.flatMap(({ dependsOn }) => dependsOn);
	for (const one of components) expect(needed).toContain(one["bom-ref"]);
});
