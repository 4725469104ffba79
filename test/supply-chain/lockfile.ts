/** What lockfile policy looks at in an entry of `packages` in package-lock.json, npm's lockfileVersion 3. */
export interface LockEntry {
	readonly version?: string;
	readonly integrity?: string;
	readonly resolved?: string;
	readonly license?: string;
	readonly link?: boolean;
	readonly dev?: boolean;
	readonly devOptional?: boolean;
	readonly hasInstallScript?: boolean;
	readonly [specs: `${string}ependencies`]: Readonly<Record<string, string>> | undefined;
}

export interface Lockfile {
	readonly lockfileVersion: number;
	readonly packages: Readonly<Record<string, LockEntry>>;
}

/** approved.yaml, which says what each list is for. */
export interface Approved {
	readonly runtime: readonly string[];
	readonly development: readonly string[];
	readonly licences: readonly string[];
	readonly install_scripts: readonly string[];
	readonly denied: Readonly<Record<string, readonly string[]>>;
}

/** Versions and ranges of a registry, and another name for one: never git, http or a path. */
const REGISTRY_SPEC = /^(npm:(@[a-z0-9._-]+\/)?[a-z0-9._-]+@)?[\d\s.*xX^~<>=|&a-z+-]+$/i;

const ROOT = "";

/** Every breach of the policy, each with the place in the lockfile. */
export function problemsOf({ lockfileVersion, packages }: Lockfile, approved: Approved): readonly string[] {
	const version = lockfileVersion === 3 ? [] : [`lockfileVersion is ${lockfileVersion}, expected 3`];
	const entries = Object.entries(packages).flatMap(([path, entry]) => {
		const problems = path === ROOT ? problemsOfRoot(entry) : problemsOfEntry(nameOf(path), entry, approved);
		return [...problems, ...problemsOfSpecs(entry)].map((text) => `${path || "package.json"}: ${text}`);
	});
	return [
		...version,
		...entries,
		...differencesOf(runtimeOf(packages), approved.runtime),
		...differencesOf(developmentOf(packages), approved.development),
	];
}

/** Both ways: what nobody has approved, and what is approved for nothing. */
function differencesOf(installed: readonly string[], approved: readonly string[]): readonly string[] {
	return [
		...installed.filter((one) => !approved.includes(one)).map((one) => `${one} is not in approved.yaml`),
		...approved
			.filter((one) => !installed.includes(one))
			.map((one) => `${one} is in approved.yaml and no longer in the lockfile`),
	];
}

/** What builds and tests it, by name. */
function developmentOf(packages: Lockfile["packages"]): readonly string[] {
	const names = Object.entries(packages)
		.filter(([path, entry]) => path !== ROOT && !isRuntime(entry))
		.map(([path]) => nameOf(path));
	return [...new Set(names)].sort();
}

/** What runs with novacompat, as `name@version`. */
function runtimeOf(packages: Lockfile["packages"]): readonly string[] {
	return Object.entries(packages)
		.filter(([path, entry]) => path !== ROOT && isRuntime(entry))
		.map(([path, { version }]) => `${nameOf(path)}@${version}`)
		.sort();
}

const isRuntime = ({ dev, devOptional }: LockEntry) => !dev && !devOptional;

const nameOf = (path: string) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

function problemsOfEntry(name: string, entry: LockEntry, approved: Approved): readonly string[] {
	const { version = "", integrity = "none", resolved, license = "none", link, hasInstallScript } = entry;
	const denied = approved.denied[name] ?? [];
	return [
		...(/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity) ? [] : [`integrity is ${integrity}, expected sha512`]),
		...(resolved === undefined ? [] : ["resolved names a host, expected none: see .npmrc"]),
		...(link ? ["it is a link, expected a package of the registry"] : []),
		...(hasInstallScript && !approved.install_scripts.includes(name) ? ["it has an install script"] : []),
		...(denied.includes(version) || denied.includes("*") ? [`version ${version} is denied`] : []),
		...(isRuntime(entry) && !approved.licences.includes(license) ? [`its licence is ${license}`] : []),
	];
}

/** What we ask for ourselves has one version. */
function problemsOfRoot({ dependencies, devDependencies }: LockEntry): readonly string[] {
	return Object.entries({ ...dependencies, ...devDependencies })
		.filter(([, spec]) => !/^\d+\.\d+\.\d+$/.test(spec))
		.map(([name, spec]) => `${name} is ${spec}, expected an exact version`);
}

function problemsOfSpecs(entry: LockEntry): readonly string[] {
	const specs = { ...entry["dependencies"], ...entry["devDependencies"], ...entry["optionalDependencies"] };
	return Object.entries(specs)
		.filter(([, spec]) => !REGISTRY_SPEC.test(spec))
		.map(([name, spec]) => `${name} is ${spec}, expected a version of the registry`);
}
