import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readBounded } from "../../src/agent/bounded-file.ts";
import { temporaryHost, writeFiles } from "../support/sysfs.ts";

test("no final link is followed", () => {
	const { sysfs } = temporaryHost();
	symlinkSync("/etc/hostname", join(sysfs, "link"));
	expect(readBounded(join(sysfs, "link"), 10)).toEqual({ errno: "ELOOP" });
});

test.each([
	[9, "123456789\n"],
	[10, { errno: "EFBIG" }],
])("%i characters and a newline where ten bytes are allowed", (length, expected) => {
	const { sysfs } = temporaryHost();
	writeFiles(sysfs, { file: "1234567890".slice(0, length) });
	const read = readBounded(join(sysfs, "file"), 10);
	expect(Buffer.isBuffer(read) ? read.toString() : read).toEqual(expected);
});

test("what is no file, and what is not there", () => {
	const { sysfs } = temporaryHost();
	expect(readBounded(sysfs, 10)).toEqual({ errno: "EISDIR" });
	expect(readBounded(join(sysfs, "nothing"), 10)).toEqual({ errno: "ENOENT" });
});
