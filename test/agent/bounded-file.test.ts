import { execFileSync } from "node:child_process";
import { closeSync, openSync, readSync, symlinkSync, writeSync } from "node:fs";
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

test("SEC-32: a FIFO is not read, although it has something to give", () => {
	const { sysfs } = temporaryHost();
	const fifo = join(sysfs, "fifo");
	execFileSync("mkfifo", [fifo]);
	const both = openSync(fifo, "r+");
	writeSync(both, "taken");
	expect(readBounded(fifo, 10)).toEqual({ errno: "EINVAL" });
	const left = Buffer.alloc(10);
	expect(left.toString("utf8", 0, readSync(both, left))).toBe("taken");
	closeSync(both);
});
