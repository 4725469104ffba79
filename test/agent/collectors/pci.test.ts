import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { collectPci, PCI_ADDRESS } from "../../../src/agent/collectors/pci.ts";
import { openSysfs } from "../../../src/agent/sysfs.ts";
import { type PciFunction, populatePci, temporaryHost } from "../../support/sysfs.ts";

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
	expect(collectPci(openSysfs(sysfs))).toEqual([
		expect.objectContaining({
			id: "0000:3b:00.0",
			attributes: expect.objectContaining({ device: "1528", driver: "ixgbe" }),
		}),
		{
			id: "0000:3b:10.0",
			kind: "pci",
			parent: "0000:3b:00.0",
			capacity: 1,
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
	const [device] = collectPci(openSysfs(sysfs));
	expect(device?.attributes["driver"]).toBe(driver);
	expect(device?.attributes["device_api"]).toBe(api);
});

test("a device_api file says more than the driver's name", () => {
	const { sysfs } = temporaryHost();
	populatePci(sysfs, { ...VF, files: { device_api: "vfio-platform" } });
	expect(collectPci(openSysfs(sysfs))[0]?.attributes["device_api"]).toBe("vfio-platform");
});

describe("what is skipped", () => {
	test("a host without a PCI bus has no functions", () => {
		expect(collectPci(openSysfs(temporaryHost().sysfs))).toEqual([]);
	});

	test("names that are no addresses, and devices outside the tree", () => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { address: "0000:3b:10.0" });
		const bus = join(sysfs, "bus/pci/devices");
		mkdirSync(join(bus, "not-an-address"));
		symlinkSync("/etc", join(bus, "0000:3b:10.1"));
		symlinkSync("0000:3b:10.2", join(bus, "0000:3b:10.2"));
		expect(collectPci(openSysfs(sysfs)).map(({ id }) => id)).toEqual(["0000:3b:10.0"]);
	});

	test("a function that is being removed", () => {
		const { sysfs } = temporaryHost();
		rmSync(join(populatePci(sysfs, VF), "vendor"));
		expect(collectPci(openSysfs(sysfs))).toEqual([]);
	});
});

test("an id and a driver that cannot be read are told, the others stay", () => {
	const { sysfs } = temporaryHost();
	const node = populatePci(sysfs, { address: "0000:3b:10.0", driver: "ixgbevf" });
	for (const name of ["vendor", "driver"]) {
		rmSync(join(node, name));
		symlinkSync("/etc/hostname", join(node, name));
	}
	const [device] = collectPci(openSysfs(sysfs));
	expect(device?.unreadable).toEqual({ vendor: "EXDEV", driver: "EXDEV" });
	expect(device?.attributes).toMatchObject({ device: "1515", class: "020000" });
});
