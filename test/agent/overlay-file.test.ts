import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { OverlayError } from "../../src/agent/overlay.ts";
import { readOverlays } from "../../src/agent/overlay-file.ts";
import { type Files, temporaryHost, writeFiles } from "../support/sysfs.ts";

function directoryWith(files: Files): string {
	const directory = join(temporaryHost().libvirt, "overlay.d");
	writeFiles(directory, files);
	return directory;
}

const HEAD = 'source: "release notes 7.1"\ndate: 2026-11\n';

test("a file says what to add to which devices, who says so, and when that was", async () => {
	const text = `${HEAD}devices:
  - match: { driver: mlx5_vfio_pci, fw_version: ["22.41.*", "22.42.*"] }
    attributes:
      software_version: 1.10
      migration_compatible: |
        SELF:
        	aggregator=1
  - match: { kind: mdev }
    attributes: { empty: "", yes: yes }`;
	expect(await readOverlays(directoryWith({ "vendor.yaml": text }))).toEqual([
		{
			file: "vendor.yaml",
			source: "release notes 7.1",
			date: "2026-11",
			devices: [
				{
					match: { driver: ["mlx5_vfio_pci"], fw_version: ["22.41.*", "22.42.*"] },
					attributes: { software_version: "1.10", migration_compatible: "SELF:\n\taggregator=1" },
				},
				{ match: { kind: ["mdev"] }, attributes: { empty: "", yes: "yes" } },
			],
		},
	]);
});

test("files come by name; what is not *.yaml is left alone", async () => {
	const text = `${HEAD}devices: [{ match: { kind: pci }, attributes: { a: 1 } }]`;
	const directory = directoryWith({ "20-b.yaml": text, "10-a.yaml": text, "a.yaml.bak": "{", README: "{" });
	expect((await readOverlays(directory)).map(({ file }) => file)).toEqual(["10-a.yaml", "20-b.yaml"]);
});

test("a link to a file is read as the file", async () => {
	const text = `${HEAD}devices: [{ match: { kind: pci }, attributes: { a: 1 } }]`;
	const directory = directoryWith({});
	symlinkSync(join(directoryWith({ data: text }), "data"), join(directory, "x.yaml"));
	expect((await readOverlays(directory)).map(({ file }) => file)).toEqual(["x.yaml"]);
});

test.each(["2026-12", "2026-12-31", "2024-02-29"])("%s is a date", async (date) => {
	const text = `source: x\ndate: ${date}\ndevices: [{ match: { kind: pci }, attributes: { a: 1 } }]`;
	expect(await readOverlays(directoryWith({ "x.yaml": text }))).toMatchObject([{ date }]);
});

test("no directory is no overlay", async () => {
	expect(await readOverlays("/nowhere/overlay.d")).toEqual([]);
});

describe("a file that cannot be used is an error that names the place, what is there and what was expected", () => {
	const entry = (text: string) => `${HEAD}devices:\n  - ${text}`;
	/** text, the error after the name of the directory */
	const MISTAKES: readonly (readonly [string, string])[] = [
		["", "x.yaml:1:1: the file is missing, expected a map of source, date, devices"],
		["a: [", "x.yaml:2:1: Flow sequence in block collection must be sufficiently indented and end with a ]"],
		["a: 1\na: 2", "x.yaml:2:1: Map keys must be unique"],
		["a: 1\n...\na: 2", "x.yaml:3:1: expected nothing behind the end of the document, ... or a second ---"],
		["- a", "x.yaml:1:1: the file is a list, expected a map of source, date, devices"],
		[
			"date: 2026-11\ndevices: [{ match: { kind: pci }, attributes: { a: 1 } }]",
			"x.yaml:1:1: source is missing, expected where the values come from, in ASCII",
		],
		[
			"source: x\ndate: soon\ndevices: [{ match: { kind: pci }, attributes: { a: 1 } }]",
			'x.yaml:2:7: date is "soon", expected a date as YYYY-MM or YYYY-MM-DD',
		],
		...["2026-13", "2026-00", "2026-11-32", "2026-02-29", "26-11", "2026-11-20T00:00:00Z"].map(
			(date) =>
				[
					`source: x\ndate: ${date}\ndevices: [{ match: { kind: pci }, attributes: { a: 1 } }]`,
					`x.yaml:2:7: date is "${date}", expected a date as YYYY-MM or YYYY-MM-DD`,
				] as const,
		),
		[
			`${HEAD}author: me\ndevices: [{ match: { kind: pci }, attributes: { a: 1 } }]`,
			'x.yaml:3:1: the file has the key "author", expected source, date, devices',
		],
		[HEAD, "x.yaml:1:1: devices is missing, expected a list"],
		[`${HEAD}devices: []`, "x.yaml:3:10: devices is empty, expected a list"],
		[`${HEAD}devices: all`, 'x.yaml:3:10: devices is "all", expected a list'],
		[entry("attributes: { a: 1 }"), "x.yaml:4:5: match is missing, expected a map"],
		[entry("{ match: {}, attributes: { a: 1 } }"), "x.yaml:4:14: match is empty, expected a map"],
		[
			entry("{ match: { kind: { a: b } }, attributes: { a: 1 } }"),
			"x.yaml:4:22: match.kind is a map, expected a text or a list of texts",
		],
		[
			entry("{ match: { kind: [pci, []] }, attributes: { a: 1 } }"),
			"x.yaml:4:28: match.kind is empty, expected a text or a list of texts",
		],
		[
			entry("{ match: { kind: pci }, attributes: { Software: 1 } }"),
			'x.yaml:4:43: attributes has the key "Software", expected a name of a-z, 0-9, _ . / and -',
		],
		[
			entry('{ match: { kind: pci }, attributes: { a: "\\u00fc" } }'),
			'x.yaml:4:46: attributes.a is "\u00fc", expected ASCII text of at most 4096 characters',
		],
		[
			entry("{ match: { kind: pci }, attributes: { a: [1] } }"),
			"x.yaml:4:46: attributes.a is a list, expected ASCII text of at most 4096 characters",
		],
		[entry("{ match: &m { kind: pci }, attributes: *m }"), "x.yaml:4:44: attributes is an alias, expected a map"],
		[
			entry("{ match: { ? [a] : b }, attributes: { a: 1 } }"),
			'x.yaml:4:18: match has the key "", expected a name of a-z, 0-9, _ . / and -',
		],
	];
	test.each(MISTAKES)("%j", async (text, message) => {
		const directory = directoryWith({ "x.yaml": text });
		await expect(readOverlays(directory)).rejects.toThrow(new OverlayError(`${directory}/${message}`));
	});

	test("all of them at once", async () => {
		const directory = directoryWith({ "x.yaml": "source: x\ndate: y\ndevices: z" });
		await expect(readOverlays(directory)).rejects.toThrow(/^.*x\.yaml:2:7: .*\n.*x\.yaml:3:10: .*$/);
	});

	test("a file that ends within a line: cut there, a range has no end any more", async () => {
		const directory = directoryWith({});
		const whole = `${HEAD}devices:\n  - match: { kind: pci }\n    attributes:\n      interface_version_compatible: 2.1.0-2.1.4\n`;
		writeFileSync(join(directory, "x.yaml"), whole.slice(0, whole.lastIndexOf("2.1.4")));
		await expect(readOverlays(directory)).rejects.toThrow(
			new OverlayError(`${directory}/x.yaml:6: expected a newline at the end: is the file only half written?`),
		);
	});

	/** what stands in the place of a file, what is said behind its name */
	const NO_FILES: readonly (readonly [what: string, make: (path: string) => void, says: string])[] = [
		["a FIFO without a writer", (path) => execFileSync("mkfifo", [path]), "EINVAL: expected a regular file"],
		["more than 1 MiB", (path) => writeFileSync(path, " ".repeat(1024 * 1024 + 1)), "EFBIG: expected a regular file"],
		["a link to /dev/zero", (path) => symlinkSync("/dev/zero", path), "EINVAL: expected a regular file"],
		["a link to nothing", (path) => symlinkSync("nowhere", path), "ENOENT"],
	];
	test.each(NO_FILES)("%s", async (_what, make, says) => {
		const directory = directoryWith({});
		make(join(directory, "x.yaml"));
		await expect(readOverlays(directory)).rejects.toThrow(OverlayError);
		await expect(readOverlays(directory)).rejects.toThrow(`x.yaml: ${says}`);
	});

	test("a name that would not be one word in a reason", async () => {
		const directory = directoryWith({ "my notes.yaml": "" });
		await expect(readOverlays(directory)).rejects.toThrow(
			'my notes.yaml: expected a name of letters, digits, ".", "_" and "-"',
		);
	});

	test("a file and a directory that cannot be read", async () => {
		const directory = directoryWith({});
		mkdirSync(join(directory, "x.yaml"));
		await expect(readOverlays(directory)).rejects.toThrow(/x\.yaml: EISDIR: expected a regular file of at most 1 MiB/);
		await expect(readOverlays("/dev/null")).rejects.toThrow("overlay directory /dev/null cannot be listed");
	});
});
