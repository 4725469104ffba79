import { type Collected, Findings } from "./findings.ts";
import type { Sysfs } from "./sysfs.ts";

/**
 * Attribute files of the thread "device compatibility interface for live migration with assigned devices"
 * (openstack-discuss, 13 July to 14 September 2020). No kernel has them: they come from a vendor driver or an overlay.
 */
const NAMES: ReadonlySet<string> = new Set([
	"migration_version",
	"migration_compatible",
	"software_version",
	"interface_version",
	"device_api",
	"base_type",
	"aggregation_ratio",
	"aggregator",
	"dynamic_resources",
	"pv_mode",
	"subchannel_type",
	"chpid_type",
	"device_type",
	"device_id",
	"pci_id",
]);

/** `compatible_<x>` (9 September) and `<x>_compatible` (4 August) declare what `<x>` may be, so `<x>` is wanted too. */
const DECLARATION = /^compatible_([a-z0-9_]+)$|^([a-z0-9_]+)_compatible$/;

/** `migration/self/<attr>` is the deepest path that the thread has. */
const MIGRATION_DEPTH = 3;

/**
 * Never read, even if a driver names them: reading I/O BARs can disturb the device, and VPD, serial numbers and MAC
 * addresses identify hardware and guests (Documentation/ABI/testing/sysfs-bus-pci).
 */
const FORBIDDEN = /^(config|rom|vpd|reset|remove|rescan|uevent|resource[0-9]*(_wc)?|.*serial.*|.*mac_?addr.*)$/;

const SAFE_NAME = /^[a-z0-9][a-z0-9_.-]{0,63}$/;

/**
 * Collects the thread's attributes from the directory of a device or of an mdev type; names come out in lower case.
 * @param alsoNamed attributes wanted because another directory (the type node of an mdev) names them
 */
export function collectAttributes(node: Sysfs, alsoNamed: Iterable<string> = []): Findings {
	const found = new Findings(node);
	// The listing is sorted and capitals sort first: where two spellings exist, the lower-case file is kept.
	const files = new Map(node.list().map((file) => [file.toLowerCase(), file]));
	for (const [name, file] of files) {
		if (NAMES.has(name) || isDeclaration(name)) found.read(name, node, file);
	}
	for (const name of [...namedBy(found), ...alsoNamed]) {
		const file = files.get(name);
		if (file !== undefined && !found.has(name) && isSafe(name)) found.read(name, node, file);
	}
	const migration = files.get("migration");
	if (migration === undefined) return found;
	for (const { path, directory, file } of migrationFiles("migration", node, migration))
		found.read(path, directory, file);
	return found;
}

interface MigrationFile {
	/** `migration/self`, `migration/compatible/<attr>` ...: the name of the attribute. */
	readonly path: string;
	readonly directory: Sysfs;
	readonly file: string;
}

function migrationFiles(path: string, parent: Sysfs, file: string, depth = 1): readonly MigrationFile[] {
	const directory = depth < MIGRATION_DEPTH ? parent.directory(file) : undefined;
	if (directory === undefined) return [{ path, directory: parent, file }];
	return directory
		.list()
		.filter(isSafe)
		.flatMap((name) => migrationFiles(`${path}/${name}`, directory, name, depth + 1));
}

/** Names of the attributes that a directory says matter: items of `dynamic_resources`, subjects of declarations. */
export function namedBy(collected: Collected): ReadonlySet<string> {
	const listed = (collected.attributes["dynamic_resources"] ?? "").split(",").map((item) => item.trim().toLowerCase());
	const declared = [...Object.keys(collected.attributes), ...Object.keys(collected.unreadable)].map(declaredBy);
	return new Set([...listed, ...declared].filter((name) => name !== undefined).filter((name) => SAFE_NAME.test(name)));
}

function isSafe(name: string): boolean {
	return SAFE_NAME.test(name) && !FORBIDDEN.test(name);
}

function isDeclaration(name: string): boolean {
	const subject = declaredBy(name);
	return subject !== undefined && !FORBIDDEN.test(subject);
}

function declaredBy(name: string): string | undefined {
	// The text blocks of 29 July, not a declaration about an attribute called "migration".
	if (name === "migration_compatible") return undefined;
	const [, behind, before] = DECLARATION.exec(name) ?? [];
	return behind ?? before;
}
