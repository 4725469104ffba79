import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { openSysfs, SysfsError, UnlistableError } from "../../src/agent/sysfs.ts";
import { asNobody, link, temporaryHost, writeFiles } from "../support/sysfs.ts";

/** A tree with one directory `devices/node` to put attributes into. */
function temporaryNode() {
	const { sysfs } = temporaryHost();
	const path = join(sysfs, "devices/node");
	mkdirSync(path, { recursive: true });
	const node = openSysfs(sysfs).directory("devices/node");
	if (node === undefined) throw new Error("devices/node was just created");
	return { root: sysfs, path, node };
}

describe("openSysfs", () => {
	test("names a root that does not exist", () => {
		expect(() => openSysfs("/nonexistent/sys")).toThrow(SysfsError);
		expect(() => openSysfs("/nonexistent/sys")).toThrow(
			"sysfs root /nonexistent/sys cannot be used (ENOENT): expected a",
		);
	});

	test("names a root without a bus directory", () => {
		const { sysfs } = temporaryHost();
		rmSync(join(sysfs, "bus"), { recursive: true });
		expect(() => openSysfs(sysfs)).toThrow(`sysfs root ${sysfs} has no bus directory`);
	});
});

describe("read: text", () => {
	const rows: readonly [content: string, expected: object][] = [
		["0x8086\n", { value: "0x8086" }],
		["0x8086", { value: "0x8086" }],
		["", { value: "" }],
		["\n", { value: "" }],
		["a\n\n", { value: "a\n" }],
		["a\r\n", { value: "a" }],
		["a\r", { value: "a\r" }],
		["a\0\0\n", { value: "a" }],
		["a\n\0\0", { value: "a" }],
		["a\0b\n", { errno: "EILSEQ" }],
		["naïve\n", { errno: "EILSEQ" }],
		["\u00a0\n", { errno: "EILSEQ" }],
	];
	test.each(rows)("%j", (content, expected) => {
		const { path, node } = temporaryNode();
		writeFileSync(join(path, "attribute"), content);
		expect(node.read("attribute")).toEqual(expected);
	});
});

/** bytes of the file, the last of which is a newline or not */
const SIZES: readonly (readonly [size: number, last: string, expected: object])[] = [
	[4094, "x", { value: "x".repeat(4094) }],
	[4095, "\n", { value: "x".repeat(4094) }],
	[4095, "x", { errno: "EFBIG" }],
	[4096, "\n", { value: "x".repeat(4095) }],
	[4096, "x", { errno: "EFBIG" }],
	[4097, "\n", { errno: "EFBIG" }],
	[100_000, "\n", { errno: "EFBIG" }],
];
test.each(SIZES)("read: %i bytes that end in %j", (size, last, expected) => {
	const { path, node } = temporaryNode();
	writeFileSync(join(path, "attribute"), "x".repeat(size - 1) + last);
	expect(node.read("attribute")).toEqual(expected);
});

test("read: lines that the kernel has cut behind one of them", () => {
	const { path, node } = temporaryNode();
	writeFileSync(join(path, "attribute"), "mode\n".repeat(819));
	expect(node.read("attribute")).toEqual({ errno: "EFBIG" });
});

describe("read: what is no attribute", () => {
	const rows: readonly [what: string, make: (path: string, root: string) => void, expected: object | undefined][] = [
		["absent", () => {}, undefined],
		["directory", (path) => mkdirSync(path), { errno: "EISDIR" }],
		["FIFO without a writer", (path) => execFileSync("mkfifo", [path]), { errno: "EINVAL" }],
		[
			"link within the tree",
			(path, root) => {
				writeFiles(root, { "devices/other": "1" });
				link(path, join(root, "devices/other"));
			},
			{ value: "1" },
		],
		["link out of the tree", (path) => symlinkSync("/etc/hostname", path), { errno: "EXDEV" }],
		["link to /proc/self/mem", (path) => symlinkSync("/proc/self/mem", path), { errno: "EXDEV" }],
		[
			"link to a directory beside the root with the same prefix",
			(path, root) => {
				writeFiles(`${root}-secret`, { file: "1" });
				symlinkSync(`${root}-secret/file`, path);
			},
			{ errno: "EXDEV" },
		],
		["link to itself", (path) => symlinkSync("attribute", path), { errno: "ELOOP" }],
		["dangling link", (path) => symlinkSync("nowhere", path), undefined],
	];
	test.each(rows)("%s", (_what, make, expected) => {
		const { root, path, node } = temporaryNode();
		make(join(path, "attribute"), root);
		expect(node.read("attribute")).toEqual(expected);
	});

	test.skipIf(process.getuid?.() !== 0)("SEC-32: a device node is not read", () => {
		const { path, node } = temporaryNode();
		execFileSync("mknod", [join(path, "attribute"), "c", "1", "3"]);
		expect(node.read("attribute")).toEqual({ errno: "EINVAL" });
	});

	test("a vanished directory has no attributes", () => {
		const { path, node } = temporaryNode();
		rmSync(path, { recursive: true });
		expect(node.read("attribute")).toBeUndefined();
		expect(node.list()).toEqual([]);
		expect(node.link("driver")).toBeUndefined();
	});

	// /proc is laid out like a sysfs root as far as `openSysfs` looks, and has files that cannot be read even by root.
	test.skipIf(!existsSync("/proc/bus"))("an errno of the kernel is kept", () => {
		expect(openSysfs("/proc").directory("self")?.read("mem")).toEqual({ errno: "EIO" });
	});
});

describe.skipIf(process.getuid?.() !== 0)("a directory that the kernel does not let us into", () => {
	test.each(["sriov_admin/vf1", "sriov_admin/vf1/profile"])("%s: what is in it is unreadable, not absent", (name) => {
		const { root, path, node } = temporaryNode();
		writeFiles(path, { "sriov_admin/vf1/profile/vram_quota": "0" });
		chmodSync(dirname(root), 0o755);
		chmodSync(join(path, "sriov_admin"), 0o700);
		asNobody(() => {
			const directory = node.directory("sriov_admin")?.directory(name.replace("sriov_admin/", ""));
			for (const closed of [directory, node.directory(name), directory?.directory("below")]) {
				expect(closed?.read("vram_quota")).toEqual({ errno: "EACCES" });
				expect(closed?.link("driver")).toEqual({ errno: "EACCES" });
				expect(() => closed?.list()).toThrow(UnlistableError);
			}
			expect(node.directory("sriov_admin")?.read("vf1")).toEqual({ errno: "EACCES" });
		});
	});
});

describe("directory and link", () => {
	test("directories outside the tree are not entered", () => {
		const { root } = temporaryNode();
		symlinkSync("/etc", join(root, "bus/escape"));
		symlinkSync("loop", join(root, "bus/loop"));
		const sysfs = openSysfs(root);
		expect(sysfs.directory("bus/escape")).toBeUndefined();
		expect(sysfs.directory("bus/loop")).toBeUndefined();
		expect(sysfs.directory("../..")).toBeUndefined();
		expect(sysfs.directory("devices/../bus")?.path).toBe("bus");
	});

	test("not even when a link has led to the root before", () => {
		const { root } = temporaryNode();
		mkdirSync(`${root}-secret`);
		symlinkSync("..", join(root, "bus/root"));
		symlinkSync(`../../${basename(root)}-secret`, join(root, "bus/escape"));
		const bus = openSysfs(root).directory("bus");
		expect(bus?.directory("root")?.path).toBe("");
		expect(bus?.directory("escape")).toBeUndefined();
		expect(bus?.directory("..")?.directory("..")).toBeUndefined();
	});

	test("a link to a link of a directory where one has led before is followed to its end", () => {
		const { root } = temporaryNode();
		mkdirSync(`${root}-secret`);
		symlinkSync(`${root}-secret`, join(root, "devices/escape"));
		symlinkSync("node", join(root, "devices/alias"));
		for (const name of ["node", "escape", "alias"]) link(join(root, "bus", name), join(root, "devices", name));
		const bus = openSysfs(root).directory("bus");
		expect(bus?.directory("node")?.path).toBe("devices/node");
		expect(bus?.directory("escape")).toBeUndefined();
		expect(bus?.directory("alias")?.path).toBe("devices/node");
	});

	test("a directory reached by a link knows where it really is", () => {
		const { root, path } = temporaryNode();
		link(join(root, "bus/pci/devices/node"), path);
		expect(openSysfs(root).directory("bus/pci/devices/node")?.path).toBe("devices/node");
	});

	const links: readonly [target: string, expected: object][] = [
		["../../bus/pci/drivers/vfio-pci", { value: "vfio-pci" }],
		["../../../../../../../../../etc/passwd", { errno: "EXDEV" }],
		["/etc/passwd", { errno: "EXDEV" }],
	];
	test.each(links)("link to %s", (target, expected) => {
		const { path, node } = temporaryNode();
		symlinkSync(target, join(path, "driver"));
		expect(node.link("driver")).toEqual(expected);
	});

	test("a file that is no link is an unreadable link, an absent one is absent", () => {
		const { path, node } = temporaryNode();
		writeFiles(path, { driver: "vfio-pci" });
		expect(node.link("driver")).toEqual({ errno: "EINVAL" });
		expect(node.link("physfn")).toBeUndefined();
	});

	test("names are sorted by code unit", () => {
		const { path, node } = temporaryNode();
		writeFiles(path, { b: "", a: "", B: "", "10": "", "9": "" });
		expect(node.list()).toEqual(["10", "9", "B", "a", "b"]);
	});
});
