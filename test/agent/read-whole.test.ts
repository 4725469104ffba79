import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readWhole } from "../../src/agent/read-whole.ts";
import { openSysfs } from "../../src/agent/sysfs.ts";
import { temporaryHost, writeFiles } from "../support/sysfs.ts";

/** A tree with one directory `devices/node`. */
function temporaryDevice() {
	const { sysfs } = temporaryHost();
	const path = join(sysfs, "devices/node");
	mkdirSync(path, { recursive: true });
	return { path, open: () => openSysfs(sysfs).directory("devices/node") };
}

test("a device that vanishes while it is read is dropped", () => {
	const { path, open } = temporaryDevice();
	const result = readWhole(open, () => {
		rmSync(path, { recursive: true, force: true });
		return "half";
	});
	expect(result).toBeUndefined();
});

test("a device that changed is read once more", () => {
	const { path, open } = temporaryDevice();
	let reads = 0;
	const read = () => {
		reads++;
		if (reads === 1) writeFiles(path, { software_version: "1.0.0" });
		return reads;
	};
	expect(readWhole(open, read)).toBe(2);
});

test("a device that changes every time is dropped", () => {
	const { path, open } = temporaryDevice();
	let reads = 0;
	const read = () => {
		reads++;
		writeFiles(path, { [`file${reads}`]: "" });
		return reads;
	};
	expect(readWhole(open, read)).toBeUndefined();
	expect(reads).toBe(2);
});

test("a device plugged anew under the same name is another device", () => {
	const { path, open } = temporaryDevice();
	let reads = 0;
	const read = () => {
		reads++;
		if (reads === 1) {
			mkdirSync(`${path}.new`);
			rmSync(path, { recursive: true });
			renameSync(`${path}.new`, path);
		}
		return reads;
	};
	expect(readWhole(open, read)).toBe(2);
});
