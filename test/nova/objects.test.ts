import { describe, expect, test } from "vitest";
import { announcedDevices, portsOf } from "../../src/nova/objects.ts";

const port = { alias_name: null, count: 1, requester_id: "b4cd0b93-2ac8-40a7-9fa4-2cd680ccdf3e" };
const alias = { alias_name: "vfs", count: 2 };

describe("the devices of an instance, as its flavor and PCI requests tell", () => {
	/** extra_specs, PCI requests, how many stay attached, whether there can be no others */
	const ROWS: readonly (readonly [extraSpecs: unknown, pciRequests: unknown, count: number, complete: boolean])[] = [
		[{}, [], 0, true],
		[{ "hw:cpu_policy": "dedicated", "trait:CUSTOM_NVIDIA_11": "required" }, [], 0, true],
		[
			{ "resources:VCPU": "2", "resources1:MEMORY_MB": "512", "resources:PCPU": "1", "resources:DISK_GB": "1" },
			[],
			0,
			true,
		],
		[{ "resources:CUSTOM_PMEM_NAMESPACE_4GB": "1" }, [], 0, true],
		[{}, [port, port], 0, true],
		[{ "resources:VGPU": "1" }, [], 1, false],
		[{ "resources_gpu:VGPU": "2" }, [], 2, false],
		[{}, [port, alias], 2, false],
		[{ "pci_passthrough:alias": "vfs:2" }, [alias], 2, false],
		// What operators call their mdevs, what others may come to mean, what has no reason to be there.
		[{ "resources:CUSTOM_NVIDIA_11": "1" }, [], 0, false],
		[{ "resources:CUSTOM_NVIDIA_11": "0" }, [], 0, false],
		[{ "resources:PGPU": "1" }, [], 0, false],
		[{ "resources:VCPU\nVGPU": "1" }, [], 0, false],
		[{ "pci_passthrough:alias": "vfs:1" }, [], 0, false],
		[{ "accel:device_profile": "gpu" }, [], 0, false],
		// What is not loaded, or is no list of requests.
		[undefined, [], 0, false],
		[null, [], 0, false],
		[{}, undefined, 0, false],
		[{}, null, 0, false],
		[{}, {}, 0, false],
		[[], [], 0, false],
		[{}, [{ count: 1 }], 0, false],
		[{}, ["vfs"], 0, false],
	];
	test.each(ROWS)("%j and %j: %d, no others %s", (extraSpecs, pciRequests, count, complete) => {
		expect(announcedDevices(extraSpecs, pciRequests)).toMatchObject({ count, complete });
	});
});

describe("Neutron ports", () => {
	const address = "0000:83:06.1";
	/** VIF, whether it has a device, whether that is unplugged */
	const ROWS: readonly (readonly [vif: unknown, port: Record<string, unknown> | undefined])[] = [
		[
			{ id: "p", vnic_type: "direct", profile: { pci_slot: address } },
			{ id: "p", address, isReplugged: true },
		],
		[
			{ vnic_type: "direct-physical", profile: { pci_slot: "0000:83:0A.0" } },
			{ address: "0000:83:0a.0", isReplugged: true },
		],
		[
			{ vnic_type: "remote-managed", profile: { pci_slot: address } },
			{ address, isReplugged: true },
		],
		[
			{ vnic_type: "vdpa", profile: {} },
			{ vnic_type: "vdpa", address: undefined, isReplugged: true },
		],
		[
			{ vnic_type: "macvtap", profile: { pci_slot: address } },
			{ address, isReplugged: false },
		],
		[{ profile: { pci_slot: address } }, { address, isReplugged: false }],
		[{ vnic_type: "virtio-forwarder", profile: {} }, undefined],
		[{ vnic_type: "normal", profile: null }, undefined],
		[{ vnic_type: 5, profile: { pci_slot: 5 } }, undefined],
		["direct", undefined],
		[null, undefined],
	];
	test.each(ROWS)("%j", (vif, expected) => {
		expect(portsOf([vif])).toEqual(expected === undefined ? [] : [expect.objectContaining(expected)]);
	});

	test.each([undefined, null, {}, "x"])("a list that is %j has none", (vifs) => expect(portsOf(vifs)).toEqual([]));
});
