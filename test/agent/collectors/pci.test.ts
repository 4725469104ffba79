import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { collectPci, PCI_ADDRESS } from "../../../src/agent/collectors/pci.ts";
import {
	hostAt,
	link,
	type PciFunction,
	populateModule,
	populatePci,
	resourceFile,
	temporaryHost,
} from "../../support/sysfs.ts";

const VF: PciFunction = { address: "0000:3b:10.0", driver: "ixgbe_vfio_pci", physfn: "0000:3b:00.0" };

describe("addresses", () => {
	test.each(["0000:00:00.0", "0000:3b:10.7", "ffff:ff:1f.7", "0000:83:06.1"])("%s is one", (id) =>
		expect(id).toMatch(PCI_ADDRESS),
	);
	test.each([
		"0000:3b:20.0",
		"0000:3b:10.8",
		"3b:10.0",
		"0000:3B:10.0",
		"10000:3b:10.0",
		"0000:3b:10.0 ",
		"..",
		"0000:3b:10.0\n",
	])("%j is none", (id) => expect(id).not.toMatch(PCI_ADDRESS));
});

test("a function is described by normalised ids, driver, device_api and the thread's attributes", () => {
	const { sysfs } = temporaryHost();
	populatePci(sysfs, { address: "0000:3b:00.0", device: "1528", driver: "ixgbe" });
	populatePci(sysfs, {
		...VF,
		subsystem_vendor: "15D9",
		revision: "0A",
		files: { software_version: "1.2.0", numa_node: "1" },
	});
	expect(collectPci(hostAt(sysfs))).toEqual([
		expect.objectContaining({
			id: "0000:3b:00.0",
			attributes: expect.objectContaining({ device: "1528", driver: "ixgbe" }),
		}),
		{
			id: "0000:3b:10.0",
			kind: "pci",
			parent: "0000:3b:00.0",
			capacity: 1,
			path: "devices/pci0000:3b/0000:3b:10.0",
			attributes: {
				vendor: "8086",
				device: "1515",
				subsystem_vendor: "15d9",
				subsystem_device: "0000",
				class: "020000",
				revision: "0a",
				driver: "ixgbe_vfio_pci",
				device_api: "vfio-pci",
				software_version: "1.2.0",
			},
			unreadable: {},
			sources: { device_api: "bus/pci/drivers/ixgbe_vfio_pci" },
			facts: { numa_node: "1" },
		},
	]);
});

const drivers: readonly [driver: string | undefined, api: string | undefined][] = [
	[undefined, undefined],
	["ixgbevf", undefined],
	["vfio-pci", "vfio-pci"],
	["mlx5_vfio_pci", "vfio-pci"],
	["nvidia-vgpu-vfio", "vfio-pci"],
];
test.each(drivers)("driver %s offers %s", (driver, api) => {
	const { sysfs } = temporaryHost();
	populatePci(sysfs, { address: "0000:3b:10.0", ...(driver === undefined ? {} : { driver }) });
	const [device] = collectPci(hostAt(sysfs));
	expect(device?.attributes["driver"]).toBe(driver);
	expect(device?.attributes["device_api"]).toBe(api);
});

test("where a function is and how many VFs it has are facts: two that are alike differ in them", () => {
	const { sysfs } = temporaryHost();
	const files = { numa_node: "-1", driver_override: "(null)", sriov_numvfs: "2", sriov_totalvfs: "63" };
	populatePci(sysfs, { address: "0000:3b:00.0", files });
	const vf = populatePci(sysfs, { ...VF, files: { numa_node: "1", driver_override: "ixgbe_vfio_pci" } });
	mkdirSync(join(sysfs, "kernel/iommu_groups/42"), { recursive: true });
	link(join(vf, "iommu_group"), join(sysfs, "kernel/iommu_groups/42"));
	expect(collectPci(hostAt(sysfs)).map(({ facts }) => facts)).toEqual([
		{ sriov_numvfs: "2", sriov_totalvfs: "63" },
		{ numa_node: "1", driver_override: "ixgbe_vfio_pci", iommu_group: "42" },
	]);
});

test("a driver of another name that made a vfio device offers vfio-pci", () => {
	const { sysfs } = temporaryHost();
	mkdirSync(join(populatePci(sysfs, { ...VF, driver: "nvidia" }), "vfio-dev/vfio0"), { recursive: true });
	expect(collectPci(hostAt(sysfs))[0]).toMatchObject({
		attributes: { device_api: "vfio-pci" },
		facts: { vfio_dev: "vfio0" },
	});
});

describe("the software below a function", () => {
	test("is the version of the driver's module, and the kernel's", () => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { ...VF, driver: "vfio-pci" });
		populateModule(sysfs, "vfio-pci", { module: "vfio_pci", version: "0.2" });
		expect(collectPci(hostAt(sysfs, { kernel_release: "6.8.0-45-generic" }))[0]).toMatchObject({
			attributes: { driver_version: "0.2", kernel_release: "6.8.0-45-generic" },
			sources: { driver_version: "module/vfio_pci/version", kernel_release: "uname -r" },
		});
	});

	test("a module without a version, and a driver that is no module, have none", () => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { address: "0000:3b:10.0", driver: "ixgbevf" });
		populateModule(sysfs, "ixgbevf", { module: "ixgbevf" });
		populatePci(sysfs, { address: "0000:3b:10.2", driver: "pcieport" });
		for (const { attributes, sources } of collectPci(hostAt(sysfs))) {
			expect(attributes).not.toHaveProperty("driver_version");
			expect(sources).toBeUndefined();
		}
	});
});

test("a device_api file says more than the driver's name", () => {
	const { sysfs } = temporaryHost();
	populatePci(sysfs, { ...VF, files: { device_api: "vfio-platform" } });
	expect(collectPci(hostAt(sysfs))[0]?.attributes["device_api"]).toBe("vfio-platform");
});

describe("what is skipped", () => {
	test("a host without a PCI bus has no functions", () => {
		expect(collectPci(hostAt(temporaryHost().sysfs))).toEqual([]);
	});

	test("names that are no addresses, and devices outside the tree", () => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { address: "0000:3b:10.0" });
		const bus = join(sysfs, "bus/pci/devices");
		mkdirSync(join(bus, "not-an-address"));
		symlinkSync("/etc", join(bus, "0000:3b:10.1"));
		symlinkSync("0000:3b:10.2", join(bus, "0000:3b:10.2"));
		expect(collectPci(hostAt(sysfs)).map(({ id }) => id)).toEqual(["0000:3b:10.0"]);
	});

	test("a function that is being removed", () => {
		const { sysfs } = temporaryHost();
		rmSync(join(populatePci(sysfs, VF), "vendor"));
		expect(collectPci(hostAt(sysfs))).toEqual([]);
	});
});

test("an id and a driver that cannot be read are told, the others stay", () => {
	const { sysfs } = temporaryHost();
	const node = populatePci(sysfs, { address: "0000:3b:10.0", driver: "ixgbevf" });
	for (const name of ["vendor", "driver"]) {
		rmSync(join(node, name));
		symlinkSync("/etc/hostname", join(node, name));
	}
	const [device] = collectPci(hostAt(sysfs));
	expect(device?.unreadable).toEqual({ vendor: "EXDEV", driver: "EXDEV" });
	expect(device?.attributes).toMatchObject({ device: "1515", class: "020000" });
});

describe("bar_sizes, from the file `resource`", () => {
	const assigned = resourceFile(16_384);
	const unassigned = assigned.replace(/.*/, "0x0000000000000000 0x00000000000fffff 0x0000000000040200");

	test.each([
		["two, one of more than 2^32 bytes", resourceFile(2 ** 37, 0, 0, 16_384), { bar_sizes: "0:137438953472,3:16384" }],
		["one that has no place yet", unassigned, { bar_sizes: "0:1048576" }],
		[
			"those that a PF has for its VFs are none of its own",
			resourceFile(16_384, 0, 0, 0, 0, 0, 0, 2 ** 22),
			{ bar_sizes: "0:16384" },
		],
		["none", resourceFile(), {}],
	])("%s", (_what, resource, expected) => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { ...VF, files: { resource } });
		const [device] = collectPci(hostAt(sysfs));
		expect(device?.attributes).not.toHaveProperty("resource");
		expect(device?.attributes).toEqual(expect.objectContaining(expected));
		expect(Object.hasOwn(device?.attributes ?? {}, "bar_sizes")).toBe("bar_sizes" in expected);
		if ("bar_sizes" in expected) expect(device?.sources).toMatchObject({ bar_sizes: `${device?.path}/resource` });
	});

	test.each(["", "0xfe800000", assigned.replace(/.*/, "0xfe800000 - 0xfe803fff")])(
		"%j is another form: unreadable",
		(resource) => {
			const { sysfs } = temporaryHost();
			populatePci(sysfs, { ...VF, files: { resource } });
			expect(collectPci(hostAt(sysfs))[0]?.unreadable).toEqual({ bar_sizes: "EBADMSG" });
		},
	);
});
