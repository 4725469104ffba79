import type { Findings } from "../findings.ts";
import type { Reading } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";

/** The first lines of the file: behind them are the ROM, the BARs that a PF has for its VFs, and the windows of a bridge. */
const BARS = 6;
/** Start, end and flags of one; all of them 0 where there is none. */
const LINE = /^0x([0-9a-f]{1,16}) 0x([0-9a-f]{1,16}) 0x[0-9a-f]{1,16}$/;

/**
 * Adds `bar_sizes`: the BARs of a PCI function with their bytes, `0:33554432,4:1048576`; absent where it has none. A guest has set its
 * addresses for these sizes: QEMU refuses one that a larger BAR cannot have, and of a smaller one the guest misses the end. Where they
 * are in the memory of the host is nobody's business, and is not kept (`resource`: Documentation/PCI/sysfs-pci.rst, resource_show of drivers/pci/pci-sysfs.c).
 */
export function addBars(found: Findings, node: Sysfs): void {
	if (node.list().includes("resource"))
		found.record("bar_sizes", sizesOf(node.read("resource")), `${node.path}/resource`);
}

function sizesOf(reading: Reading): Reading {
	if (reading === undefined || "errno" in reading) return reading;
	const sizes: string[] = [];
	for (const [index, line] of reading.value.split("\n").slice(0, BARS).entries()) {
		const [, start, end] = LINE.exec(line) ?? [];
		if (start === undefined || end === undefined) return { errno: "EBADMSG" };
		const last = BigInt(`0x${end}`);
		if (last > 0n) sizes.push(`${index}:${last - BigInt(`0x${start}`) + 1n}`);
	}
	return sizes.length === 0 ? undefined : { value: sizes.join() };
}
