import { type ChildProcess, spawn } from "node:child_process";

/**
 * Unplugs and plugs a device again and again, in the kernel's order: the link on the bus goes first and comes last
 * (drivers/base/bus.c). Inode numbers of sysfs are not used again soon; those of a disk are, so every life of the device
 * has a directory of its own.
 */
const REPLUG = `
	const { cpSync, rmSync, symlinkSync, unlinkSync } = require("node:fs");
	const [node, link] = process.argv.slice(1);
	unlinkSync(link);
	for (let life = 0; ; life++) {
		cpSync(node, node + life, { recursive: true });
		symlinkSync(node + life, link);
		for (const until = performance.now() + 0.5; performance.now() < until; );
		unlinkSync(link);
		rmSync(node + life, { recursive: true });
	}`;

/** `node` is the directory of the device, `link` its link on the bus; ends when it is killed. */
export function replug(node: string, link: string): ChildProcess {
	return spawn(process.execPath, ["-e", REPLUG, node, link]);
}
