import { describe, expect, test } from "vitest";
import { expandUevent, normalise } from "../../src/compat/normalise.ts";
import { mdev } from "../support/devices.ts";

describe("normalise", () => {
	/** attribute, spelling, spelling that means the same */
	const SAME: readonly (readonly [string, string, string])[] = [
		["device_api", "vfio_pci", "vfio-pci"],
		["device_api", "vfio-pci\n", " vfio-pci"],
		["vendor", "0x8086", "8086"],
		["vendor", "0x8086\n", " 8086"],
		["device", "591D", "0x591d"],
		["pci_id", "8086591D", "8086591d"],
		["device_id", "0x591D", "591d"],
		["subsystem_vendor", "0x8086", "8086"],
		["subsystem_device", "0x2212", "2212"],
		["class", "0x030000", "030000"],
		["parent_vendor", "0x10DE", "10de"],
		["parent_subsystem_vendor", "0x10DE", "10de"],
		["revision", "0x0A", "0a"],
	];
	test.each(SAME)("%s: %s is %s", (attribute, one, other) =>
		expect(normalise(attribute, one)).toBe(normalise(attribute, other)),
	);

	test.each([
		["mdev_type", "i915_GVTg", "i915-GVTg"],
		["mdev_type", "nvidia-558", "NVIDIA-558"],
		["pv_mode", "0x1", "1"],
		["device", "800x86", "8086"],
	])("%s: %s is not %s", (attribute, one, other) =>
		expect(normalise(attribute, one)).not.toBe(normalise(attribute, other)),
	);
});

describe("expandUevent", () => {
	const uevent = [
		"DRIVER=vfio-pci",
		"PCI_CLASS=30000",
		"PCI_ID=8086:591D",
		"PCI_SUBSYS_ID=8086:2212",
		"PCI_SLOT_NAME=0000:00:02.0",
		"MODALIAS=pci:v00008086d0000591Dsv00008086sd00002212bc03sc00i00",
	].join("\n");

	test("the sample of the thread", () => {
		const { attributes } = expandUevent(mdev("d", { uevent }));
		expect(attributes).toEqual({
			device_api: "vfio-pci",
			mdev_type: "vendor-type",
			driver: "vfio-pci",
			class: "030000",
			vendor: "8086",
			device: "591d",
			subsystem_vendor: "8086",
			subsystem_device: "2212",
		});
	});

	test("a file of its own goes before the line, and a device without uevent stays as it is", () => {
		expect(expandUevent(mdev("d", { uevent, driver: "i915" })).attributes["driver"]).toBe("i915");
		const plain = mdev("d", {});
		expect(expandUevent(plain)).toBe(plain);
	});

	test("lines may end as DOS ends them, and a name stands at their beginning", () => {
		expect(expandUevent(mdev("d", { uevent: " DRIVER=i915:x \r\n# PCI_CLASS=30000\r\n" })).attributes).toEqual({
			device_api: "vfio-pci",
			mdev_type: "vendor-type",
			driver: "i915:x",
		});
	});

	test("lines that are none, and ids without colon", () => {
		expect(expandUevent(mdev("d", { uevent: "nonsense\nconstructor=x\nPCI_ID=8086" })).attributes).toMatchObject({
			vendor: "8086",
			device: "",
		});
	});
});
