import { describe, expect, test } from "vitest";
import { type Departure, outsetOf } from "../src/departure.ts";
import { announcedDevices } from "../src/nova/instance.ts";
import type { SnapshotDevice } from "../src/snapshot/snapshot.ts";
import { INSTANCE, REQUEST } from "./support/checks.ts";
import { mdev, pci } from "./support/devices.ts";

const alias = { alias_name: "vfs", count: 1 };
const port = { alias_name: null, count: 1 };
const MDEV = mdev("4f9a6c1e-1111-4a5c-9d35-0c5d2c5a0001", {});
const VF = pci("0000:3b:10.0", {});

describe("what Nova knows of is a PCI function or an mdev, and one is not taken for the other", () => {
	const outset = (extraSpecs: unknown, pciRequests: unknown, ...devices: readonly SnapshotDevice[]) => {
		const departure: Departure = { ...REQUEST, announced: announcedDevices(extraSpecs, pciRequests) };
		const used = devices.map((device) => ({ ...device, instance: INSTANCE }));
		const snapshot = { schema_version: "1.2", host: "cmp-01", instances: [INSTANCE], devices: used };
		const found = outsetOf({ snapshot, notes: [] }, departure);
		return "devices" in found ? found.devices.map(({ id }) => id) : found.reasons.map(({ code }) => code);
	};
	const custom = { "resources:CUSTOM_NVIDIA_11": "1", "pci_passthrough:alias": "vfs:1" };

	test("each where it is", () => {
		expect(outset(custom, [alias], MDEV, VF)).toEqual([MDEV.id, VF.id]);
		expect(outset({ "resources:VGPU": "1" }, [alias], MDEV, VF)).toEqual([MDEV.id, VF.id]);
	});

	test("an mdev of the operator's own class does not stand for the function of an alias", () => {
		expect(outset(custom, [alias], MDEV)).toEqual(["device.unaccounted"]);
	});

	test("a function that Nova's list of ports leaves out does not stand for a vGPU", () => {
		expect(outset({ "resources:VGPU": "1" }, [port], VF)).toEqual(["device.unaccounted"]);
	});
});

describe("what a request names", () => {
	const OTHER = "66d19c9b-a157-42ee-8b0f-90544f9de658";
	const named = (devices: readonly string[], ...told: readonly SnapshotDevice[]) => {
		const snapshot = { schema_version: "1.2", host: "cmp-01", devices: [...told] };
		const found = outsetOf({ snapshot, notes: [] }, { ...REQUEST, devices });
		return "devices" in found ? found.devices : found.reasons.map(({ code }) => code);
	};
	const [ours, theirs] = [INSTANCE, OTHER].map((instance) => ({ ...VF, instance }));
	if (!ours || !theirs) throw new Error("there are two");

	test("is one device, however often it is named", () => {
		expect(named([VF.id, VF.id], VF, MDEV)).toEqual([VF]);
	});

	test("is one device, also where several instances keep it: that of the instance", () => {
		expect(named([VF.id], theirs, ours)).toEqual([ours]);
		expect(named([VF.id], ours, theirs)).toEqual([ours]);
		expect(named([VF.id], theirs, { ...theirs, instance: "0b0a6c1e-1111-4a5c-9d35-0c5d2c5a0001" })).toHaveLength(1);
	});
});
