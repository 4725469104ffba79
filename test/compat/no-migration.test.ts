import { describe, expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import type { DeviceKind } from "../../src/compat/device.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";

type Row = readonly [what: string, kind: DeviceKind, attributes: Readonly<Record<string, string>>, code: string];

/** A device that its driver or QEMU cannot migrate, and the reason that there must be. */
const ROWS: readonly Row[] = [
	["a Grace Hopper GPU", "pci", { vendor: "10de", device: "2342", driver: "nvgrace_gpu_vfio_pci" }, "class.refused"],
	["an ISM device of s390", "pci", { vendor: "1014", device: "04ed", driver: "ism_vfio_pci" }, "class.refused"],
	["a subchannel of s390", "mdev", { mdev_type: "vfio_ccw-io", device_api: "vfio-ccw" }, "class.refused"],
	[
		"a VF of a driver that is in no class, of which an overlay tells the version and the kernel that it has no migration",
		"pci",
		{ vendor: "8086", device: "1515", driver: "ixgbe_vfio_pci", software_version: "1.2.0", vfio_migration: "none" },
		"attribute.refused",
	],
];

/** Between two hosts that are alike. */
function decisionAbout(kind: DeviceKind, attributes: Row[2], policy: Policy) {
	const device = { id: kind === "pci" ? "0000:41:00.0" : "7e270a25-e163-4922-af60-757fc8ed48c6", kind };
	const alike = { ...device, attributes, unreadable: {} };
	const [devices, candidates] = [[alike], [{ ...alike, capacity: 1 }]];
	return decide({ source_host: "cmp-01", target_host: "cmp-02", devices, candidates, policy });
}

describe("what cannot migrate is refused, also by a policy that accepts what nobody knows", () => {
	test.each(ROWS)("%s", (_what, kind, attributes, code) => {
		const { verdict, allowed, reasons } = decisionAbout(kind, attributes, {
			...DEFAULT_POLICY,
			unknown: { "*": "accept" },
		});
		expect({ verdict, allowed, codes: [...new Set(reasons.map((one) => one.code))] }).toEqual({
			verdict: "reject",
			allowed: false,
			codes: [code],
		});
	});
});
