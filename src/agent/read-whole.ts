import type { Sysfs } from "./sysfs.ts";

/**
 * Reads one device as a whole: what `read` gives if the directory was the same before and after. A device that changed
 * meanwhile is read once more, then given up: it is better absent from a snapshot than half described.
 */
export function readWhole<T>(open: () => Sysfs | undefined, read: (node: Sysfs) => T | undefined): T | undefined {
	let node = open();
	for (let tries = 0; tries < 2 && node !== undefined; tries++) {
		const before = node.stamp();
		const result = read(node);
		const again = open();
		if (again?.stamp() === before) return result;
		node = again;
	}
	node?.drop("it changed twice while it was read");
	return undefined;
}
