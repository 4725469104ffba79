import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** The parts of CycloneDX 1.5 that npm writes. */
export interface Sbom {
	readonly serialNumber: string;
	readonly metadata: { readonly component: Component };
	readonly components: readonly Component[];
	readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

interface Component {
	readonly "bom-ref": string;
	readonly name: string;
	readonly version: string;
	readonly purl: string;
	readonly properties: readonly { readonly name: string; readonly value: string }[];
	readonly hashes?: readonly { readonly alg: string }[];
	readonly licenses: readonly { readonly license: { readonly id: string } }[];
}

const WORDS = ["sbom", "--sbom-format", "cyclonedx", "--sbom-type", "application", "--package-lock-only"];

/**
 * What runs with novacompat, of package-lock.json: the same document for the same lockfile. Not `--omit dev`: npm 11.19 leaves
 * out what is needed at run time and by a tool of development too, such as yaml.
 */
export function sbom(repository: string): Sbom {
	const { metadata, ...document } = JSON.parse(execFileSync("npm", WORDS, { cwd: repository, encoding: "utf8" }));
	const { timestamp: _now, ...lasting } = metadata;
	const all: Sbom = { ...document, metadata: lasting };
	const isForDevelopment = ({ properties }: Component) =>
		properties.some(({ name }) => name === "cdx:npm:package:development");
	const components = all.components.filter((one) => !isForDevelopment(one));
	const refs = new Set([all.metadata.component["bom-ref"], ...components.map((one) => one["bom-ref"])]);
	return {
		...all,
		serialNumber: uuidOf(readFileSync(`${repository}/package-lock.json`)),
		// npm takes the name of the folder.
		metadata: { ...lasting, component: { ...lasting.component, name: "novacompat" } },
		components,
		dependencies: all.dependencies
			.filter(({ ref }) => refs.has(ref))
			.map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) })),
	};
}

/** As RFC 9562 makes one of data, version 8. */
function uuidOf(data: Buffer): string {
	const digits = createHash("sha256").update(data).digest("hex");
	const [, a, b, c, d, e] = /^(.{8})(.{4}).(.{3}).(.{3})(.{12})/.exec(digits) ?? [];
	return `urn:uuid:${a}-${b}-8${c}-8${d}-${e}`;
}

if (process.argv[1] === import.meta.filename) {
	process.stdout.write(`${JSON.stringify(sbom(process.cwd()), null, 2)}\n`);
}
