import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { PCI_ADDRESS } from "../../src/agent/collectors/pci.ts";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { NO_PREDECESSOR, published, scanAfter } from "../../src/agent/scan-result.ts";
import { askHost } from "../../src/agent/tools.ts";
import { freeDevices, outsetOf } from "../../src/departure.ts";
import { repluggedPorts } from "../../src/ports.ts";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { replug } from "../support/replug.ts";
import {
	asNobody,
	guestAddress,
	populateDomain,
	populateMdev,
	populateMdevType,
	populateNetdev,
	populatePci,
	populateVdpa,
	temporaryHost,
	writeFiles,
} from "../support/sysfs.ts";

const SAMPLES = join(import.meta.dirname, "../../config/samples/hosts");
const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";
const OTHER = "1002587c-b09d-468a-9995-53d16eeb8a15";
/** Nova's words need not tell of a device: one of a resource class of the operator's own. */
const NOTHING_ANNOUNCED = { count: 0, names: "", complete: false };
const MDEV = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

const samples = readdirSync(SAMPLES, { withFileTypes: true }).filter((entry) => entry.isDirectory());
/** `vitest run -u` writes the golden files anew. */
test.each(samples.map(({ name }) => name))("sample host %s", async (host) => {
	const options = { host, sysfsRoot: join(SAMPLES, host, "sys"), libvirtDir: join(SAMPLES, host, "libvirt") };
	const snapshot = takeSnapshot(options);
	expect(Snapshot.parse(snapshot)).toEqual(snapshot);
	expect(takeSnapshot(options)).toEqual(snapshot);
	const golden = join(import.meta.dirname, `golden/${host}.snapshot.json`);
	await expect(`${JSON.stringify(snapshot, null, "\t")}\n`).toMatchFileSnapshot(golden);
});

test("devices come by kind, then by id", () => {
	const { sysfs, libvirt } = temporaryHost();
	for (const address of ["0000:81:00.0", "0000:3b:10.0"]) {
		const type = populateMdevType(sysfs, populatePci(sysfs, { address }), { type: "nvidia-558" });
		populateMdev(sysfs, type, { uuid: address === "0000:81:00.0" ? MDEV : MDEV.replace("83b8", "93b8") });
	}
	const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
	expect(devices.map(({ id }) => id)).toEqual([
		"0000:3b:10.0",
		"0000:81:00.0",
		MDEV,
		MDEV.replace("83b8", "93b8"),
		"0000:3b:10.0/nvidia-558",
		"0000:81:00.0/nvidia-558",
	]);
});

describe("who uses what", () => {
	test("devices that stay, ports and free devices are told apart", () => {
		const { sysfs, libvirt } = temporaryHost();
		for (const address of ["0000:3b:10.0", "0000:3b:10.2", "0000:3b:10.4"]) populatePci(sysfs, { address });
		populateDomain(libvirt, { uuid: UUID, pci: ["0000:3b:10.0"], ports: ["0000:3b:10.2"] });
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		expect(devices.map(({ id, instance, port }) => [id, instance, port])).toEqual([
			["0000:3b:10.0", UUID, undefined],
			["0000:3b:10.2", UUID, true],
			["0000:3b:10.4", undefined, undefined],
		]);
		expect(devices.map(({ alias, guest_address }) => [alias, guest_address])).toEqual([
			["hostdev1", guestAddress(1)],
			["hostdev0", guestAddress(0)],
			[undefined, undefined],
		]);
	});

	test("the device of a disk must continue, and is free for none", () => {
		const { sysfs, libvirt } = temporaryHost();
		populatePci(sysfs, { address: "0000:01:00.0", class: "010802", driver: "vfio-pci" });
		const vf = populatePci(sysfs, { address: "0000:3b:10.2" });
		populateVdpa(sysfs, vf, "blk0", "vhost-vdpa-0", "vhost_vdpa");
		const disks = [
			"<disk type='nvme'><source type='pci'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source></disk>",
			"<disk type='vhostvdpa'><source dev='/dev/vhost-vdpa-0'/></disk>",
			"<disk type='vhostvdpa'><source dev='/dev/vhost-vdpa-7'/></disk>",
		];
		const xml = `<domain><uuid>${UUID}</uuid><devices>${disks.join("")}</devices></domain>`;
		writeFiles(libvirt, { "instance-00000001.xml": xml });
		const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		expect(Snapshot.parse(snapshot)).toEqual(snapshot);
		const departure = { instance_uuid: UUID, source_host: "cmp", ports: [], announced: NOTHING_ANNOUNCED };
		expect(outsetOf({ snapshot, notes: [] }, departure)).toMatchObject({
			devices: [
				{ id: "0000:01:00.0", kind: "pci", attributes: { vendor: "8086" } },
				{ id: "blk0", kind: "vdpa", attributes: { driver: "vhost_vdpa" } },
				{ id: "vhost-vdpa-7", kind: "vdpa", unreadable: { driver: "ENODEV" } },
			],
		});
		expect(freeDevices(snapshot)).toEqual([]);
		expect(repluggedPorts({ ...departure, dest_host: "b" }, { snapshot, notes: [] })).toEqual([]);
	});

	test("a device that two instances keep must continue with either, and is free for none", async () => {
		const { sysfs, libvirt } = temporaryHost();
		const [own, both] = ["0000:3b:10.0", "0000:3b:10.2"];
		for (const address of [own, both]) populatePci(sysfs, { address });
		populateDomain(libvirt, { uuid: UUID, pci: [both] });
		populateDomain(libvirt, { name: "instance-00000002", uuid: OTHER, pci: [own, both] });
		const places = { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt };
		const { body, warnings } = await scanAfter(NO_PREDECESSOR, places);
		const snapshot = Snapshot.parse(JSON.parse(body.toString()));
		for (const [instance_uuid, ids] of [
			[UUID, [both]],
			[OTHER, [own, both]],
		] as const) {
			const departure = { instance_uuid, source_host: "cmp", ports: [], announced: NOTHING_ANNOUNCED };
			const outset = outsetOf({ snapshot, notes: [] }, departure);
			expect(outset).toMatchObject({ devices: ids.map((id) => ({ id, attributes: { vendor: "8086" } })) });
		}
		expect(freeDevices(snapshot)).toEqual([]);
		expect(warnings).toEqual([
			`device ${both} is in the status of instances ${UUID} and ${OTHER} in ${libvirt}, expected one: it is told to be in use by each`,
		]);
	});

	test("a device that an instance has but sysfs does not show is not forgotten", () => {
		const { sysfs, libvirt } = temporaryHost();
		populateDomain(libvirt, { uuid: UUID, pci: ["0000:3b:10.0"], mdevs: [MDEV], ports: ["0000:3b:10.2"] });
		const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		expect(Snapshot.parse(snapshot).devices).toEqual([
			{
				id: "0000:3b:10.0",
				kind: "pci",
				capacity: 1,
				instance: UUID,
				alias: "hostdev1",
				guest_address: guestAddress(1),
				attributes: {},
				unreadable: { vendor: "ENODEV", device: "ENODEV" },
			},
			{
				id: MDEV,
				kind: "mdev",
				capacity: 1,
				instance: UUID,
				alias: "hostdev2",
				guest_address: guestAddress(2),
				attributes: {},
				unreadable: { mdev_type: "ENODEV" },
			},
		]);
	});
});

test("a function removed while scans go on is whole or absent", () => {
	const { sysfs, libvirt } = temporaryHost();
	const options = { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt };
	const VF = "0000:3b:10.0";
	const node = populatePci(sysfs, { address: VF, files: { software_version: "1.0.0" } });
	const [whole] = takeSnapshot(options).devices;
	const remover = replug(node, join(sysfs, "bus/pci/devices/0000:3b:10.0"));
	onTestFinished(() => void remover.kill());
	const seen = new Set<string>();
	const oneLife = new RegExp(`${VF}\\d+"`, "g");
	for (let i = 0; i < 2000; i++) {
		seen.add(JSON.stringify(takeSnapshot(options).devices).replace(oneLife, `${VF}"`));
	}
	seen.delete("[]");
	expect([...seen]).toEqual([JSON.stringify([whole])]);
});

describe("what a scan is told and tells of itself", () => {
	const nothingStuck = { stuck: new Set<string>(), alive: () => undefined };

	test("a device that changes whenever it is read is left out, and named", () => {
		const { sysfs, libvirt } = temporaryHost();
		populatePci(sysfs, { address: "0000:3b:10.0" });
		const restless = populatePci(sysfs, { address: "0000:41:00.0" });
		const type = populateMdevType(sysfs, restless, { type: "nvidia-558" });
		let reads = 0;
		const alive = () => writeFiles(reads++ % 2 === 0 ? restless : type, { [`file${reads}`]: "" });
		const options = { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, watch: { ...nothingStuck, alive } };
		const snapshot = takeSnapshot(options);
		expect(Snapshot.parse(snapshot).devices.map(({ id }) => id)).toEqual(["0000:3b:10.0"]);
		const reason = "it changed twice while it was read";
		expect(snapshot.dropped).toEqual([
			{ id: "0000:41:00.0", reason },
			{ id: "0000:41:00.0/nvidia-558", reason },
		]);
		expect(takeSnapshot({ ...options, watch: nothingStuck })).not.toHaveProperty("dropped");
	});

	test.skipIf(process.getuid?.() !== 0)("a directory that cannot be listed costs one device, not the scan", () => {
		const { sysfs, libvirt } = temporaryHost();
		chmodSync(dirname(sysfs), 0o755);
		const good = populatePci(sysfs, { address: "0000:3b:10.0" });
		populateMdevType(sysfs, good, { type: "nvidia-558" });
		for (const address of ["0000:41:00.0", "0000:41:00.1"]) {
			chmodSync(populatePci(sysfs, { address, files: { "migration/self": "a=1" } }), 0o755);
		}
		chmodSync(join(sysfs, "devices/pci0000:41/0000:41:00.0"), 0o311);
		chmodSync(join(sysfs, "devices/pci0000:41/0000:41:00.1/migration"), 0o311);
		chmodSync(join(good, "mdev_supported_types"), 0o311);
		populateDomain(libvirt, { uuid: UUID, pci: ["0000:41:00.1"] });
		asNobody(() => {
			const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
			const reason = "a directory of it cannot be listed: EACCES";
			expect(Snapshot.parse(snapshot).dropped).toEqual([
				{ id: "0000:41:00.0", reason },
				{ id: "0000:41:00.1", reason },
				{ id: "0000:3b:10.0/mdev_supported_types", reason },
			]);
			// What an instance has must continue all the same.
			expect(snapshot.devices.map(({ id, unreadable }) => [id, Object.keys(unreadable)])).toEqual([
				["0000:3b:10.0", []],
				["0000:41:00.1", ["vendor", "device"]],
			]);
		});
	});

	test("an attribute that a read did not come back from is not read again", () => {
		const { sysfs, libvirt } = temporaryHost();
		const files = { software_version: "1.0.0", interface_version: "1.0.0" };
		const node = populatePci(sysfs, { address: "0000:3b:10.0", files });
		const watch = { ...nothingStuck, stuck: new Set([join(node, "software_version")]) };
		const [device] = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, watch }).devices;
		expect(device?.unreadable).toEqual({ software_version: "ETIMEDOUT" });
		expect(device?.attributes["interface_version"]).toBe("1.0.0");
	});

	test("... nor is the same attribute of what else is on its bus: one driver answers for all of them", () => {
		const { sysfs, libvirt } = temporaryHost();
		const files = { software_version: "1.0.0", interface_version: "1.0.0" };
		for (const address of ["0000:3b:10.0", "0000:3b:10.2", "0000:3c:10.0"]) populatePci(sysfs, { address, files });
		const gpu = populatePci(sysfs, { address: "0000:41:00.0" });
		for (const type of ["nvidia-558", "nvidia-559"]) populateMdevType(sysfs, gpu, { type, available_instances: "4" });
		const silent = [
			join(sysfs, "devices/pci0000:3b/0000:3b:10.0/software_version"),
			join(gpu, "mdev_supported_types/nvidia-558/available_instances"),
		];
		const watch = { ...nothingStuck, stuck: new Set(silent) };
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, watch });
		const unread = devices.filter(({ unreadable }) => Object.values(unreadable).includes("ETIMEDOUT"));
		expect(unread.map(({ id, unreadable }) => `${id} ${Object.keys(unreadable)}`)).toEqual([
			"0000:3b:10.0 software_version",
			"0000:3b:10.2 software_version",
			"0000:41:00.0/nvidia-558 available_instances",
			"0000:41:00.0/nvidia-559 available_instances",
		]);
	});
});

describe("who uses what: devices that libvirt names in its own way", () => {
	const vdpa = "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>";
	const macvtap = "<interface type='direct'><source dev='ens1f0v2' mode='passthrough'/></interface>";
	test.each([
		["vDPA", vdpa],
		["macvtap", macvtap],
	])("%s: the function behind it is in use, as a port, and its neighbour is free", (_what, xml) => {
		const { sysfs, libvirt } = temporaryHost();
		const node = populatePci(sysfs, { address: "0000:3b:10.0" });
		populatePci(sysfs, { address: "0000:3b:10.2" });
		populateVdpa(sysfs, node, "vdpa0", "vhost-vdpa-0");
		populateNetdev(sysfs, node, "ens1f0v2");
		writeFiles(libvirt, { "a.xml": `<domain><uuid>${UUID}</uuid><devices>${xml}</devices></domain>` });
		const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		const functions = snapshot.devices.filter(({ kind }) => kind === "pci");
		expect(functions.map(({ id, instance, port }) => [id, instance, port])).toEqual([
			["0000:3b:10.0", UUID, true],
			["0000:3b:10.2", undefined, undefined],
		]);
		const free = freeDevices(snapshot).filter(({ kind }) => kind === "pci");
		expect(free.map(({ id }) => id)).toEqual(["0000:3b:10.2"]);
	});
});

test("an agent that is another host from now on has another ETag: otherwise the service would go on with the old one", async () => {
	const { sysfs: sysfsRoot, libvirt: libvirtDir } = temporaryHost();
	const [one, other] = await Promise.all(
		["cmp-01", "cmp-02"].map(async (host) =>
			published(await scanAfter(NO_PREDECESSOR, { host, sysfsRoot, libvirtDir })),
		),
	);
	expect(other?.etag).not.toBe(one?.etag);
});

test("a root that is no sysfs is a fault, not an empty host", () => {
	const { sysfs } = temporaryHost();
	rmSync(join(sysfs, "bus"), { recursive: true });
	expect(() => takeSnapshot({ host: "cmp", sysfsRoot: sysfs })).toThrow("has no bus directory");
});

test.skipIf(!existsSync("/sys/bus/pci/devices"))("this machine's own /sys", async () => {
	const { libvirt } = temporaryHost();
	const told = await askHost("/sys");
	const snapshot = takeSnapshot({ host: "here", sysfsRoot: "/sys", libvirtDir: libvirt, told });
	expect(Snapshot.parse(snapshot)).toEqual(snapshot);
	const functions = snapshot.devices.filter(({ kind }) => kind === "pci");
	expect(functions.map(({ id }) => id)).toEqual(
		readdirSync("/sys/bus/pci/devices")
			.sort()
			.filter((id) => PCI_ADDRESS.test(id)),
	);
	for (const { id, path, attributes, unreadable } of functions) {
		expect(realpathSync(`/sys/${path}`)).toBe(realpathSync(`/sys/bus/pci/devices/${id}`));
		expect(attributes["kernel_release"]).toBe(readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
		expect(attributes["vendor"]).toMatch(/^[0-9a-f]{4}$/);
		expect(attributes["class"]).toMatch(/^[0-9a-f]{6}$/);
		expect(unreadable).toEqual({});
	}
});

describe("nothing is told that the service would refuse the whole host for", () => {
	const long = "x".repeat(4_097);

	test("a value of a program that is too long cannot be read", () => {
		const { sysfs, libvirt } = temporaryHost();
		populateNic(sysfs);
		const text = JSON.stringify({ info: { "pci/0000:06:00.0": { versions: { running: { "fw.version": long } } } } });
		const told = { answers: { "devlink dev info": { text } } };
		const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
		expect(Snapshot.parse(snapshot)).toEqual(snapshot);
		expect(snapshot.devices.find(({ id }) => id === "0000:06:00.2")?.unreadable).toEqual({ fw_version: "EFBIG" });
	});

	test.each([
		["of its driver", 600, []],
		["of an overlay", 1, Array.from({ length: 600 }, (_, index) => `x${index}`)],
	])(
		"a device with too many attributes %s is left out, or unreadable where an instance has it",
		(_who, count, added) => {
			const { sysfs, libvirt } = temporaryHost();
			const names = Array.from({ length: count }, (_, index) => [`migration/attribute_${index}`, "1"]);
			for (const address of ["0000:3b:10.0", "0000:3b:10.2"]) {
				populatePci(sysfs, { address, files: Object.fromEntries(names) });
			}
			populatePci(sysfs, { address: "0000:3b:10.4", device: "1528" });
			populateDomain(libvirt, { uuid: UUID, pci: ["0000:3b:10.2"] });
			const attributes = Object.fromEntries(added.map((name) => [name, "1"]));
			const devices = [{ match: { device: ["1515"] }, attributes }];
			const overlays = added.length > 0 ? [{ file: "a.yaml", source: "s", date: "2026-11-29", devices }] : [];
			const snapshot = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, overlays });
			expect(Snapshot.parse(snapshot)).toEqual(snapshot);
			const reason = expect.stringMatching(/^it has 60\d attributes, at most 512 can be told$/);
			expect(snapshot.dropped).toEqual([
				{ id: "0000:3b:10.0", reason },
				{ id: "0000:3b:10.2", reason },
			]);
			expect(snapshot.devices.map(({ id, unreadable, instance }) => [id, unreadable, instance])).toEqual([
				["0000:3b:10.2", { vendor: "ENODEV", device: "ENODEV" }, UUID],
				["0000:3b:10.4", {}, undefined],
			]);
		},
	);

	/** On SR-IOV each VF of a board offers all its types as mdevs: eight L40S with 32 VFs and 29 types each are 7,424, and 8.8 MB. */
	test("a host with very many types of mdevs is told without what nobody compares", { timeout: 120_000 }, async () => {
		const { sysfs, libvirt } = temporaryHost();
		// Fewer do where each stands behind many bridges and has much to say for people.
		const files = { name: "y".repeat(1_000), description: "y".repeat(1_000) };
		const below = Array(4)
			.fill(`pci${"0".repeat(210)}`)
			.join("/");
		for (const address of ["0000:41:00.4", "0000:41:00.5", "0000:41:00.6", "0000:41:00.7"]) {
			const parent = populatePci(sysfs, { address, below, vendor: "10de", device: "26b9", driver: "nvidia" });
			for (let type = 1_000; type < 1_300; type++) populateMdevType(sysfs, parent, { type: `nvidia-${type}`, files });
		}
		const scan = await scanAfter(NO_PREDECESSOR, { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		expect(scan.warnings).toContain(
			"the snapshot has more than the 8388608 bytes that a service takes: paths, sources and facts are left out",
		);
		const { devices } = Snapshot.parse(JSON.parse(scan.body.toString()));
		expect(devices).toHaveLength(4 + 4 * 300);
		expect(devices.at(-1)).toEqual({
			id: "0000:41:00.7/nvidia-1299",
			kind: "mdev_type",
			parent: "0000:41:00.7",
			capacity: 1,
			attributes: expect.objectContaining({ mdev_type: "nvidia-1299", parent_vendor: "10de", parent_device: "26b9" }),
			unreadable: {},
		});
	});

	test("more devices than a service takes are a scan that fails, and says of which there are so many", async () => {
		const { sysfs, libvirt } = temporaryHost();
		const gpu = populatePci(sysfs, { address: "0000:41:00.4", vendor: "10de", driver: "nvidia" });
		for (let type = 0; type < 8192; type++)
			mkdirSync(join(gpu, `mdev_supported_types/nvidia-${type}`), { recursive: true });
		await expect(scanAfter(NO_PREDECESSOR, { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt })).rejects.toThrow(
			"8193 devices (1 pci, 8192 mdev_type), of which a service takes 8192 at most: the host needs fewer VFs, each of which may offer many types",
		);
	});

	test("a snapshot that is too large is a scan that fails, and says what can be done", async () => {
		const { sysfs, libvirt } = temporaryHost();
		const directory = join(sysfs, "../overlay.d");
		for (let number = 0; number < 10; number++) populatePci(sysfs, { address: `0000:3b:1${number}.0` });
		const attributes = Array.from({ length: 240 }, (_, index) => `      x${index}: "${"y".repeat(4_000)}"\n`).join("");
		writeFiles(directory, {
			"large.yaml": `source: s\ndate: 2026-11-29\ndevices:\n  - match: { vendor: "8086" }\n    attributes:\n${attributes}`,
		});
		const places = { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, overlayDir: directory };
		await expect(scanAfter(NO_PREDECESSOR, places)).rejects.toThrow(
			/^the snapshot of 10 devices has \d{7} bytes, of which a service takes 8388608 at most: are there fewer attributes in the overlays of .*overlay\.d\?$/,
		);
	});
});

/** A ConnectX with one VF. */
function populateNic(sysfs: string): void {
	const [pf, vf] = ["0000:06:00.0", "0000:06:00.2"];
	populatePci(sysfs, { address: pf, vendor: "15b3", device: "101d", driver: "mlx5_core" });
	populatePci(sysfs, { address: vf, vendor: "15b3", device: "101e", driver: "mlx5_vfio_pci", physfn: pf });
}
