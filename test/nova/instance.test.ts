import { describe, expect, test } from "vitest";
import { announcedDevices, departureOf, networkInfo, portsOf } from "../../src/nova/instance.ts";
import { droppedKeys } from "../../src/nova/objects.ts";
import { readOwnRequest } from "../../src/nova/own-requests.ts";

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

	test.each(["", " ", "-3", -3])("%j is no number of devices either", (count) => {
		expect(announcedDevices({ "resources:VGPU": count }, [])).toMatchObject({ count: 1 });
		expect(announcedDevices({}, [{ ...alias, count }])).toMatchObject({ count: 1 });
	});

	test.each(["a".repeat(256), "", 7])("the alias %j is one, whatever it is called", (alias_name) => {
		expect(announcedDevices({}, [{ ...alias, alias_name }])).toMatchObject({ count: 2, pci: 2, complete: false });
	});

	test.each(["Infinity", "-Infinity", "1e400", Number.POSITIVE_INFINITY, { toString: 1, valueOf: 1 }])(
		"%j is no number of devices: one, which can be written down",
		(count) => {
			expect(announcedDevices({ "resources:VGPU": count }, [])).toMatchObject({ count: 1 });
			expect(announcedDevices({}, [{ ...alias, count }])).toMatchObject({ count: 1 });
		},
	);
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

describe("SEC-04: names that JavaScript has plans for", () => {
	/** An object as it comes out of JSON: with the key as its own. */
	const with3 = (fields: object) =>
		JSON.parse(`{"__proto__":{"host":"evil"},"constructor":{},"prototype":1,${JSON.stringify(fields).slice(1)}`);
	const versioned = (name: string, data: object) => ({
		"nova_object.name": name,
		"nova_object.version": "2.7",
		"nova_object.data": data,
	});
	const vif = { id: "p", vnic_type: "direct", profile: { pci_slot: "0000:83:06.1" } };
	const data = {
		uuid: "u",
		host: "cmp-01",
		flavor: { extra_specs: { "resources:VGPU": "1" } },
		pci_requests: { requests: [alias] },
		info_cache: { network_info: JSON.stringify([vif]) },
	};
	const request = { instance_uuid: "u", source_host: "cmp-01", dest_host: "cmp-02", vifs: [vif] };

	/** what is read with such keys at one place, what it is without, how many there are */
	const ROWS: readonly (readonly [place: string, read: () => unknown, same: () => unknown, count: number])[] = [
		["an instance", () => departureOf(with3(versioned("Instance", data))), () => departureOf(data), 3],
		["its data", () => departureOf(versioned("Instance", with3(data))), () => departureOf(data), 3],
		[
			"both",
			() => departureOf(with3(versioned("Instance", with3(data)))),
			() => departureOf(versioned("Instance", data)),
			6,
		],
		[
			"extra specs",
			() => announcedDevices(with3(data.flavor.extra_specs), [port]),
			() => announcedDevices(data.flavor.extra_specs, [port]),
			3,
		],
		["a PCI request", () => announcedDevices({}, [with3(port)]), () => announcedDevices({}, [port]), 3],
		[
			"a port and its profile",
			() => portsOf([with3({ ...vif, profile: with3(vif.profile) })]),
			() => portsOf([vif]),
			6,
		],
		[
			"network_info",
			() => portsOf(networkInfo({ network_info: JSON.stringify([with3(vif)]) })),
			() => portsOf([vif]),
			3,
		],
		["our own request", () => readOwnRequest({ request: with3(request) }), () => readOwnRequest({ request }), 3],
	];
	test.each(ROWS)("in %s: left out and counted, and the rest is read as it is", (_place, read, same, count) => {
		const before = droppedKeys.count;
		expect(read()).toStrictEqual(same());
		expect(droppedKeys.count - before).toBe(count);
		expect(Reflect.get({}, "host")).toBeUndefined();
	});
});

describe("SEC-03: network_info, which is JSON inside the JSON", () => {
	const MAX = 256 * 1024;
	const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
	const ROWS: readonly (readonly [what: string, text: string, problem: string | undefined])[] = [
		["as long as it may be", `["${"x".repeat(MAX - 4)}"]`, undefined],
		["a character more", `["${"x".repeat(MAX - 3)}"]`, "has more than 262144 characters"],
		["as deep as it may be", nested(64), undefined],
		["a level more", nested(65), "is nested deeper than 64 levels"],
		["a depth of 100,000", nested(100_000), "is nested deeper than 64 levels"],
		["no JSON", "{", "is not JSON"],
	];
	test.each(ROWS)("%s", (_what, text, problem) => {
		const read = () => networkInfo({ network_info: text });
		if (problem === undefined) expect(read()).toEqual(JSON.parse(text));
		else expect(read).toThrow(`instance.info_cache.network_info ${problem}`);
	});
});
