import { type Sysfs, UnlistableError } from "./sysfs.ts";

/**
 * Reads one device as a whole: what `read` gives if the directory was the same before and after. A device that changed
 * meanwhile is read once more, then given up: it is better absent from a snapshot than half described. So is one of which a
 * directory cannot be listed: what it would have said is not known.
 */
export function readWhole<T>(open: () => Sysfs | undefined, read: (node: Sysfs) => T | undefined): T | undefined {
	let node = open();
	try {
		for (let tries = 0; tries < 2 && node !== undefined; tries++) {
			const before = node.stamp();
			const result = read(node);
			const again = open();
			if (again?.stamp() === before) return result;
			node = again;
		}
		node?.drop("it changed twice while it was read");
	} catch (error) {
		dropUnlistable(node, error);
	}
	return undefined;
}

/** The names in a directory of devices; one that cannot be listed is given up, and only what stands in it. */
export function listOrDrop(node: Sysfs): readonly string[] {
	try {
		return node.list();
	} catch (error) {
		dropUnlistable(node, error);
		return [];
	}
}

function dropUnlistable(node: Sysfs | undefined, error: unknown): void {
	if (!(error instanceof UnlistableError)) throw error;
	node?.drop(`a directory of it cannot be listed: ${error.errno}`);
}
