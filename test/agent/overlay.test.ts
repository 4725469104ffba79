import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { applyOverlays, type Overlay, type OverlayEntry } from "../../src/agent/overlay.ts";
import { readOverlays } from "../../src/agent/overlay-file.ts";
import { scanHost, takeSnapshot } from "../../src/agent/scan.ts";
import { decide } from "../../src/compat/decide.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { Snapshot, type SnapshotDevice } from "../../src/snapshot/snapshot.ts";
import { leastCpu } from "../support/least-cpu.ts";
import { temporaryHost, writeFiles } from "../support/sysfs.ts";
import { CLASS_HOSTS } from "./hosts.ts";

const SAMPLES = join(import.meta.dirname, "../../config/samples/overlay.d");

const VF: SnapshotDevice = {
	id: "0000:3b:10.0",
	kind: "pci",
	parent: "0000:3b:00.0",
	capacity: 1,
	attributes: { vendor: "8086", driver: "ixgbe_vfio_pci" },
	unreadable: { software_version: "EIO" },
};

function overlay(file: string, ...devices: readonly OverlayEntry[]): Overlay {
	return { file, source: "notes", date: "2026-11", devices };
}

const adds = (attributes: Readonly<Record<string, string>>, match: OverlayEntry["match"] = { kind: ["pci"] }) => ({
	match,
	attributes,
});

test("what an overlay adds is marked with its file, source and date", () => {
	const { devices, ignored } = applyOverlays([VF], [overlay("a.yaml", adds({ qp_num: "64" }))]);
	expect(devices).toEqual([
		{
			...VF,
			attributes: { ...VF.attributes, qp_num: "64" },
			overlaid: { qp_num: "a.yaml (notes, 2026-11)" },
		},
	]);
	expect(ignored).toEqual([]);
});

describe("it never overwrites", () => {
	test("what the host says, even that it cannot be read", () => {
		const { devices, ignored } = applyOverlays(
			[VF],
			[overlay("a.yaml", adds({ vendor: "10de", software_version: "1.0.0" }))],
		);
		expect(devices).toEqual([VF]);
		expect(ignored).toEqual([
			{ file: "a.yaml", device: VF.id, attribute: "vendor", from: "host" },
			{ file: "a.yaml", device: VF.id, attribute: "software_version", from: "host" },
		]);
	});

	test("what another overlay, or an entry before it, has added", () => {
		const first = overlay("10.yaml", adds({ qp_num: "64" }), adds({ qp_num: "32" }));
		const { devices, ignored } = applyOverlays([VF], [first, overlay("20.yaml", adds({ qp_num: "16", other: "1" }))]);
		expect(devices[0]?.attributes).toMatchObject({ qp_num: "64", other: "1" });
		expect(ignored.map(({ file, from }) => [file, from])).toEqual([
			["10.yaml", "10.yaml"],
			["20.yaml", "10.yaml"],
		]);
	});
});

test("entries that name a device keep their place among those that do not", () => {
	const named = { id: [VF.id, "0000:3b:10.7", VF.id] };
	const all = overlay("a.yaml", adds({ a: "1" }, named), adds({ a: "2", b: "2" }), adds({ b: "3", c: "3" }, named));
	const another = { ...VF, id: "0000:3b:11.0" };
	const { devices, ignored } = applyOverlays([VF, another], [all]);
	expect(devices.map(({ attributes: { a, b, c } }) => [a, b, c])).toEqual([
		["1", "2", "3"],
		["2", "2", undefined],
	]);
	expect(ignored.map(({ device, attribute }) => [device, attribute])).toEqual([
		[VF.id, "a"],
		[VF.id, "b"],
	]);
});

describe("a device matches", () => {
	const MATCHES: readonly (readonly [match: OverlayEntry["match"], fits: boolean])[] = [
		[{ kind: ["pci"] }, true],
		[{ kind: ["mdev"] }, false],
		[{ kind: ["mdev", "pci"] }, true],
		[{ id: ["0000:3b:*"] }, true],
		[{ parent: ["0000:3b:00.0"] }, true],
		[{ parent: ["0000:3b:00.1"] }, false],
		[{ driver: ["ixgbe*"], vendor: ["8086"] }, true],
		[{ driver: ["ixgbe*"], vendor: ["15b3"] }, false],
		[{ mdev_type: ["*"] }, false],
		[{ constructor: ["*"] }, false],
		// It cannot be read, so nobody knows what it is.
		[{ software_version: ["*"] }, false],
	];
	test.each(MATCHES)("%j: %s", (match, fits) => {
		const { devices } = applyOverlays([VF], [overlay("a.yaml", adds({ x: "1" }, match))]);
		expect(devices[0]?.attributes["x"]).toBe(fits ? "1" : undefined);
	});

	test("by an id in any spelling, as a class of the policy does", () => {
		const entry = adds({ x: "1" }, { vendor: ["0x15B3", "0x8086"] });
		expect(applyOverlays([VF], [overlay("a.yaml", entry)]).devices[0]?.attributes["x"]).toBe("1");
	});

	test("by what the host says only: what was overlaid decides nothing", () => {
		const chain = [overlay("10.yaml", adds({ a: "1" })), overlay("20.yaml", adds({ b: "1" }, { a: ["*"] }))];
		expect(applyOverlays([VF], chain).devices[0]?.attributes).not.toHaveProperty("b");
	});
});

test("an entry for each of a thousand VFs takes little time", () => {
	const vfs = Array.from({ length: 1_000 }, (_, number) => ({ ...VF, id: `0000:3b:${number >> 3}.${number % 8}` }));
	const entries = vfs.map(({ id }, number) => adds({ qp_num: `${number}` }, { driver: ["ixgbe_vfio_pci"], id: [id] }));
	const overlays = [overlay("a.yaml", ...entries)];
	const { devices } = applyOverlays(vfs, overlays);
	expect(devices.map(({ attributes }) => attributes["qp_num"])).toEqual(vfs.map((_, number) => `${number}`));
	// It was 1.1 s.
	expect(leastCpu(() => applyOverlays(vfs, overlays), 500)).toBeLessThan(500);
});

test("the samples can be read, and each does something", async () => {
	const overlays = await readOverlays(SAMPLES);
	expect(overlays.length).toBeGreaterThan(0);
	const devices = ["mlx5-vf", "hisilicon-vf", "nvidia-vgpu-vf", "nvidia-vgpu-mdev"].flatMap((name) => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS[name]?.populate(sysfs);
		const found = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt }).devices;
		// Firmware comes from devlink, which this test does not ask.
		return found.map((one) => ({ ...one, attributes: { fw_version: "22.41.1000", ...one.attributes } }));
	});
	const { devices: overlaid, ignored } = applyOverlays(devices, overlays);
	const marks = new Set(overlaid.flatMap((device) => Object.values(device.overlaid ?? {})));
	expect([...marks].map((mark) => mark.split(" ")[0]).sort()).toEqual(overlays.map(({ file }) => file));
	expect(ignored).toEqual([]);
});

test("from the file of the operator to the reason that Nova gets", async () => {
	const snapshotOf = async (host: string, version: string): Promise<Snapshot> => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["mlx5-vf"]?.populate(sysfs);
		const overlayDir = join(libvirt, "../overlay.d");
		const devices = `[{ match: { driver: mlx5_vfio_pci }, attributes: { software_version: ${version} } }]`;
		writeFiles(overlayDir, { "mlx5.yaml": `source: notes\ndate: 2026-11\ndevices: ${devices}` });
		return Snapshot.parse(await scanHost({ host, sysfsRoot: sysfs, libvirtDir: libvirt, overlayDir }));
	};
	const [source, target] = [await snapshotOf("cmp-01", "1.3.0"), await snapshotOf("cmp-02", "1.2.0")];
	const { verdict, text } = decide({
		source_host: "cmp-01",
		target_host: "cmp-02",
		devices: source.devices.filter(({ id }) => id === "0000:06:00.2"),
		candidates: target.devices,
		policy: DEFAULT_POLICY,
	});
	expect(verdict).toBe("reject");
	expect(text).toMatch(
		/^software_version 1\.3\.0 needs at least 1\.3; cmp-02 0000:06:00\.2 has 1\.2\.0 \(both by overlay mlx5\.yaml\) \[[0-9a-f]{12}\]$/,
	);
});
