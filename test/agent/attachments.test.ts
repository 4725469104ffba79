import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { attachmentsOf } from "../../src/agent/attachments.ts";
import type { DomainDevice } from "../../src/agent/libvirt.ts";
import { openSysfs } from "../../src/agent/sysfs.ts";
import { link, populateNetdev, populatePci, populateVdpa, temporaryHost } from "../support/sysfs.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const OTHER = "1002587c-b09d-468a-9995-53d16eeb8a15";
const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";

function hostWithVf(): string {
	const { sysfs } = temporaryHost();
	const vf = populatePci(sysfs, { address: "0000:3b:10.2", below: "pci0000:3a/0000:3a:00.0" });
	populateVdpa(sysfs, vf, "vdpa0", "vhost-vdpa-0");
	populateVdpa(sysfs, join(vf, "mlx5_core.vnet.2"), "vdpa1", "vhost-vdpa-1");
	populateNetdev(sysfs, vf, "ens1f0v2");
	mkdirSync(join(sysfs, "devices/virtual/net/br0"), { recursive: true });
	link(join(sysfs, "class/net/br0"), join(sysfs, "devices/virtual/net/br0"));
	return sysfs;
}

/** What libvirt names, and the ids of the devices that are in use by it. */
const rows: readonly [kind: DomainDevice["kind"], source: string, ids: readonly string[]][] = [
	["pci", "0000:3b:10.0", ["0000:3b:10.0"]],
	["mdev", UUID, [UUID]],
	["vdpa", "/dev/vhost-vdpa-0", ["vdpa0", "0000:3b:10.2"]],
	["vdpa", "/dev/vhost-vdpa-1", ["vdpa1", "0000:3b:10.2"]],
	["vdpa", "/dev/vhost-vdpa-7", []],
	["vdpa", "/dev/vhost-vdpa-0/../../etc", []],
	["vdpa", "vhost-vdpa-0", []],
	["direct", "ens1f0v2", ["0000:3b:10.2"]],
	["direct", "br0", []],
	["direct", "absent", []],
	["direct", "..", []],
	["direct", "../net/ens1f0v2", []],
];
test.each(rows)("%s %s", (kind, source, ids) => {
	const devices = [{ kind, source, port: kind === "vdpa" || kind === "direct", guest: { alias: "net1" } }];
	const found = attachmentsOf(new Map([[UUID, devices]]), openSysfs(hostWithVf()));
	expect([...found.keys()]).toEqual(ids);
	for (const attachments of found.values())
		expect(attachments).toMatchObject([{ instance: UUID, guest: { alias: "net1" } }]);
});

test("a vDPA device is in use by whatever name udev has given its character device", () => {
	const byPath = join(temporaryDirectory(), "pci-0000:3b:10.2-vdpa0");
	symlinkSync("/dev/vhost-vdpa-0", byPath);
	const devices = [{ kind: "vdpa", source: byPath, port: true, guest: {} }] as const;
	const found = attachmentsOf(new Map([[UUID, devices]]), openSysfs(hostWithVf()));
	expect([...found.keys()]).toEqual(["vdpa0", "0000:3b:10.2"]);
});

describe("a vDPA device that is a disk", () => {
	const disk = (source: string) => ({ kind: "vdpa", source, port: false, guest: { alias: "virtio-disk1" } }) as const;

	test("must continue, and its function is what it stands on", () => {
		const found = attachmentsOf(new Map([[UUID, [disk("/dev/vhost-vdpa-1")]]]), openSysfs(hostWithVf()));
		expect(Object.fromEntries(found)).toMatchObject({
			vdpa1: [{ kind: "vdpa", port: false }],
			"0000:3b:10.2": [{ kind: "pci", port: true }],
		});
	});

	test("must continue also where it is not found", () => {
		const devices = [disk("/dev/vhost-vdpa-7"), disk("/dev/disks/blue")];
		const found = attachmentsOf(new Map([[UUID, devices]]), openSysfs(hostWithVf()));
		expect(Object.fromEntries(found)).toMatchObject({
			"vhost-vdpa-7": [{ kind: "vdpa", port: false }],
			blue: [{ kind: "vdpa", port: false }],
		});
	});
});

describe("a device that two name", () => {
	const stays = { kind: "pci", source: "0000:3b:10.0", port: false, guest: { alias: "hostdev0" } } as const;
	const port = { ...stays, port: true, guest: { alias: "hostdev1" } } as const;
	test.each([[[stays, port]], [[port, stays]]])("must continue if either says so: %j", (devices) => {
		const found = attachmentsOf(new Map([[UUID, devices]]), openSysfs(temporaryHost().sysfs));
		expect(found.get("0000:3b:10.0")).toMatchObject([{ port: false, guest: { alias: "hostdev0" } }]);
	});

	/** What each instance says of it, and whose it is then. */
	const INSTANCES: readonly [first: DomainDevice, second: DomainDevice, kept: readonly string[]][] = [
		[stays, stays, [UUID, OTHER]],
		[stays, port, [UUID]],
		[port, stays, [OTHER]],
		[port, port, [UUID]],
	];
	test.each(INSTANCES)("is of every instance that keeps it, or of the first: %j", (first, second, instances) => {
		const domains = new Map([
			[UUID, [first]],
			[OTHER, [second]],
		]);
		const found = attachmentsOf(domains, openSysfs(temporaryHost().sysfs)).get("0000:3b:10.0");
		expect(found?.map(({ instance }) => instance)).toEqual(instances);
	});
});
