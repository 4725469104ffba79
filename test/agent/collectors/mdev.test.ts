import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { collectMdev } from "../../../src/agent/collectors/mdev.ts";
import {
	hostAt,
	type MdevType,
	populateMdev,
	populateMdevType,
	populatePci,
	temporaryHost,
} from "../../support/sysfs.ts";

const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

const PARENT = "devices/pci0000:00/0000:00:02.0";
const TYPE = `${PARENT}/mdev_supported_types/i915-GVTg_V5_4`;

/** What an mdev and its type say of the board that they are on. */
const BOARD = {
	attributes: {
		parent_vendor: "8086",
		parent_device: "1515",
		parent_subsystem_vendor: "8086",
		parent_subsystem_device: "0000",
	},
	sources: Object.fromEntries(
		["vendor", "device", "subsystem_vendor", "subsystem_device"].map((name) => [`parent_${name}`, `${PARENT}/${name}`]),
	),
};

function hostWithType(mdevType: MdevType) {
	const { sysfs } = temporaryHost();
	const parent = populatePci(sysfs, { address: "0000:00:02.0", below: "pci0000:00" });
	return { sysfs, parent, type: populateMdevType(sysfs, parent, mdevType), scan: () => collectMdev(hostAt(sysfs)) };
}

describe("types", () => {
	test("a type is found once, although its parent stands on the bus and in the class", () => {
		const { scan } = hostWithType({
			type: "nvidia-558",
			available_instances: "3",
			files: { software_version: "1.0.0" },
		});
		expect(scan()).toEqual([
			{
				id: "0000:00:02.0/nvidia-558",
				kind: "mdev_type",
				parent: "0000:00:02.0",
				capacity: 3,
				path: `${PARENT}/mdev_supported_types/nvidia-558`,
				attributes: { mdev_type: "nvidia-558", device_api: "vfio-pci", software_version: "1.0.0", ...BOARD.attributes },
				unreadable: {},
				sources: { mdev_type: `${PARENT}/mdev_supported_types/nvidia-558`, ...BOARD.sources },
			},
		]);
	});

	test("a parent in the class only, and a parent on the bus only", () => {
		const { sysfs, parent, scan } = hostWithType({ type: "i915-GVTg_V5_4" });
		rmSync(join(sysfs, "bus/pci/devices/0000:00:02.0"));
		expect(scan().map(({ id }) => id)).toEqual(["0000:00:02.0/i915-GVTg_V5_4"]);
		rmSync(join(sysfs, "class"), { recursive: true });
		symlinkSync(parent.replace(sysfs, "../../.."), join(sysfs, "bus/pci/devices/0000:00:02.0"));
		expect(scan().map(({ id }) => id)).toEqual(["0000:00:02.0/i915-GVTg_V5_4"]);
	});

	const capacities: readonly [text: string | undefined, capacity: number, unreadable: object][] = [
		["0", 0, {}],
		["16", 16, {}],
		["-1", 0, { available_instances: "EINVAL" }],
		["many", 0, { available_instances: "EINVAL" }],
		["", 0, { available_instances: "EINVAL" }],
		["x".repeat(5000), 0, { available_instances: "EFBIG" }],
		[undefined, 0, { available_instances: "ENOENT" }],
	];
	test.each(capacities)("available_instances %.8s", (text, capacity, unreadable) => {
		const { type, scan } = hostWithType({ type: "nvidia-558", available_instances: text ?? "" });
		if (text === undefined) rmSync(join(type, "available_instances"));
		expect(scan()[0]).toMatchObject({ capacity, unreadable });
	});
});

describe("instances", () => {
	test("an mdev has its type's attributes; its own win", () => {
		const { sysfs, type, scan } = hostWithType({
			type: "i915-GVTg_V5_4",
			files: { software_version: "1.0.0", migration_version: "type", dynamic_resources: "fps_max", fps_max: "30" },
		});
		populateMdev(sysfs, type, { uuid: UUID, files: { migration_version: "device", fps_max: "60", aggregator: "2" } });
		expect(scan()[0]).toEqual({
			id: UUID,
			kind: "mdev",
			parent: "0000:00:02.0",
			capacity: 1,
			path: `${PARENT}/${UUID}`,
			attributes: {
				mdev_type: "i915-GVTg_V5_4",
				device_api: "vfio-pci",
				software_version: "1.0.0",
				dynamic_resources: "fps_max",
				migration_version: "device",
				fps_max: "60",
				aggregator: "2",
				...BOARD.attributes,
			},
			unreadable: {},
			sources: {
				mdev_type: TYPE,
				device_api: `${TYPE}/device_api`,
				software_version: `${TYPE}/software_version`,
				dynamic_resources: `${TYPE}/dynamic_resources`,
				...BOARD.sources,
			},
		});
	});

	test("an attribute that the device cannot show is not taken from its type", () => {
		const { sysfs, type, scan } = hostWithType({ type: "i915-GVTg_V5_4", files: { migration_version: "type" } });
		symlinkSync("/etc/hostname", join(populateMdev(sysfs, type, { uuid: UUID }), "migration_version"));
		expect(scan()[0]).toMatchObject({ unreadable: { migration_version: "EXDEV" } });
		expect(scan()[0]?.attributes).not.toHaveProperty("migration_version");
	});

	test("ids are lower-cased; names that are no uuids are skipped", () => {
		const { sysfs, type, scan } = hostWithType({ type: "nvidia-558" });
		populateMdev(sysfs, type, { uuid: UUID.toUpperCase() });
		populateMdev(sysfs, type, { uuid: `${UUID}0` });
		const mdevs = scan().filter(({ kind }) => kind === "mdev");
		expect(mdevs.map(({ id }) => id)).toEqual([UUID]);
	});

	test("an mdev that is being removed is dropped", () => {
		const { sysfs, type, scan } = hostWithType({ type: "nvidia-558" });
		rmSync(join(populateMdev(sysfs, type, { uuid: UUID }), "mdev_type"));
		expect(scan().map(({ kind }) => kind)).toEqual(["mdev_type"]);
	});

	test("a type link that leads elsewhere is no type", () => {
		const { sysfs, parent, type, scan } = hostWithType({ type: "nvidia-558" });
		const node = populateMdev(sysfs, type, { uuid: UUID });
		rmSync(join(node, "mdev_type"));
		symlinkSync(parent, join(node, "mdev_type"));
		expect(scan().map(({ kind }) => kind)).toEqual(["mdev_type"]);
	});
});
