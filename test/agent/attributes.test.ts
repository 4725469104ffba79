import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { collectAttributes, namedBy } from "../../src/agent/attributes.ts";
import { openSysfs } from "../../src/agent/sysfs.ts";
import { type Files, temporaryHost, writeFiles } from "../support/sysfs.ts";

function nodeWith(files: Files) {
	const { sysfs } = temporaryHost();
	const path = join(sysfs, "devices/node");
	writeFiles(path, files);
	const node = openSysfs(sysfs).directory("devices/node");
	if (node === undefined) throw new Error("devices/node was just created");
	return { path, node };
}

/** Files of a directory and the names that are collected from it. */
const rows: readonly [what: string, files: Files, names: readonly string[]][] = [
	["nothing of the thread", { vendor: "0x8086", numa_node: "0", iommu_group: "1", uevent: "DRIVER=x" }, []],
	["13 July", { migration_version: "i915-v1-8086-591d-i915-GVTg_V5_8-1" }, ["migration_version"]],
	["29 July", { migration_compatible: "SELF:\n\taggregator=1" }, ["migration_compatible"]],
	[
		"4 August",
		{ interface_version: "2.1.3", interface_version_compatible: "2.1.0-" },
		["interface_version", "interface_version_compatible"],
	],
	["<x>_compatible wants <x>", { queues: "4", queues_compatible: "4,8", other: "1" }, ["queues", "queues_compatible"]],
	["compatible_<x> wants <x>", { compatible_pci_ids: "591b", pci_ids: "5931" }, ["compatible_pci_ids", "pci_ids"]],
	["25 August", { base_type: "i915", aggregation_ratio: "2" }, ["aggregation_ratio", "base_type"]],
	[
		"9 September",
		{ dynamic_resources: "aggregator, Fps_Max,...", aggregator: "4", fps_max: "60", fps: "1" },
		["aggregator", "dynamic_resources", "fps_max"],
	],
	[
		"ccw",
		{ subchannel_type: "0", chpid_type: "1b", device_type: "ccw" },
		["chpid_type", "device_type", "subchannel_type"],
	],
	["capitals", { Software_Version: "1.0.0" }, ["software_version"]],
	[
		"names that identify hardware or touch it",
		{ dynamic_resources: "config,resource0,vpd,serial_number", config: "", resource0: "", vpd: "", serial_number: "" },
		["dynamic_resources"],
	],
	[
		"declarations about such names",
		{ compatible_serial_number: "1", serial_number: "1", mac_address_compatible: "02:00", compatible_queues: "4" },
		["compatible_queues"],
	],
	[
		"such names below migration/",
		{ "migration/self/serial_number": "1", "migration/vpd/a": "1", "migration/uevent": "A=1", "migration/self/a": "1" },
		["migration/self/a"],
	],
	["names that are no names", { dynamic_resources: "../secret,a/b,,__proto__,constructor" }, ["dynamic_resources"]],
	[
		"migration/ files",
		{ "migration/self": "a=1", "migration/compatible": "a={x:int:1,2}" },
		["migration/compatible", "migration/self"],
	],
	[
		"migration/ directories",
		{ "migration/self/aggregator": "1", "migration/compatible0001/aggregator": "1,2" },
		["migration/compatible0001/aggregator", "migration/self/aggregator"],
	],
];
test.each(rows)("%s", (_what, files, names) => {
	const { attributes, unreadable } = collectAttributes(nodeWith(files).node);
	expect(Object.keys(attributes).sort()).toEqual(names);
	expect(unreadable).toEqual({});
});

test("values are the text of the files", () => {
	const { node } = nodeWith({ interface_version: "2.1.3", interface_version_compatible: "2.0.2-2.0.4, 2.1.0-" });
	expect(collectAttributes(node).attributes).toEqual({
		interface_version: "2.1.3",
		interface_version_compatible: "2.0.2-2.0.4, 2.1.0-",
	});
});

describe("unreadable", () => {
	test("is told by errno, for declarations and what they are about too", () => {
		const { path, node } = nodeWith({ "migration/self/a/too_deep": "1" });
		for (const name of ["software_version", "compatible_queues", "queues", "not_wanted"]) {
			symlinkSync("/etc/hostname", join(path, name));
		}
		expect(collectAttributes(node)).toMatchObject({
			attributes: {},
			unreadable: {
				software_version: "EXDEV",
				compatible_queues: "EXDEV",
				queues: "EXDEV",
				"migration/self/a": "EISDIR",
			},
		});
	});

	test("a migration directory outside the tree is not entered", () => {
		const { path, node } = nodeWith({});
		symlinkSync("/etc", join(path, "migration"));
		expect(collectAttributes(node)).toMatchObject({ attributes: {}, unreadable: { migration: "EXDEV" } });
	});

	test("a migration directory that leads back to itself ends", () => {
		const { path, node } = nodeWith({});
		mkdirSync(join(path, "migration"));
		symlinkSync(".", join(path, "migration/self"));
		expect(collectAttributes(node)).toMatchObject({ attributes: {}, unreadable: { "migration/self/self": "EISDIR" } });
	});
});

test("the type node can name what to read from the device node", () => {
	const type = collectAttributes(nodeWith({ dynamic_resources: "fps_max", compatible_queues: "4" }).node);
	const { node } = nodeWith({ fps_max: "60", queues: "4", other: "1" });
	expect(collectAttributes(node, namedBy(type)).attributes).toEqual({ fps_max: "60", queues: "4" });
});
