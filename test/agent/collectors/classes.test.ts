import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { takeSnapshot } from "../../../src/agent/scan.ts";
import type { QuestionName } from "../../../src/agent/tools.ts";
import { decide } from "../../../src/compat/decide.ts";
import { DEFAULT_POLICY } from "../../../src/compat/policy.ts";
import { Snapshot } from "../../../src/snapshot/snapshot.ts";
import { asNobody, link, populatePci, temporaryHost, writeFiles } from "../../support/sysfs.ts";
import { CLASS_HOSTS, populateNvidiaProc } from "../hosts.ts";

/** One device of a class's host after something was changed in the tree, and with these answers of its programs. */
function deviceOf(
	name: string,
	id: string,
	change: (root: string) => void = () => undefined,
	answers: Readonly<Partial<Record<QuestionName, string>>> = {},
) {
	const { sysfs, libvirt } = temporaryHost();
	CLASS_HOSTS[name]?.populate(sysfs);
	change(sysfs);
	const told = { answers: Object.fromEntries(Object.entries(answers).map(([key, text = ""]) => [key, { text }])) };
	const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
	const found = devices.find((device) => device.id === id);
	if (found === undefined)
		throw new Error(`${name} has no ${id}, only ${devices.map((device) => device.id).join(", ")}`);
	return found;
}

const remove = (path: string) => (root: string) => rmSync(join(root, path), { recursive: true });
const write = (path: string, text: string) => (root: string) => writeFiles(root, { [path]: text });

type Texts = Readonly<Record<string, string | undefined>>;

/** class, device, what is changed, attributes afterwards (undefined: absent), errno of those that cannot be read */
type Row = readonly [what: string, name: string, id: string, change: (root: string) => void, Texts, unreadable: Texts];

const XE = "devices/pci0000:e3/0000:e3:00.0";
const VGPU = "devices/pci0000:41/0000:41:00.5/nvidia";
const BOARD = "devices/pci0000:40/0000:40:01.1/0000:41:00.0";
const CSS = "devices/css0";
const CCW = "7e270a25-e163-4922-af60-757fc8ed48c6";
const MDEV = "b1a3c5d2-0f47-4c8e-9a61-2d7e4f90b301";
const MATRIX = "669d9b23-fe1b-4ecb-be08-a2fabca99b71";
const AP = `devices/vfio_ap/matrix/${MATRIX}`;

const ROWS: readonly Row[] = [
	[
		"Xe: the VF's own profile, of which N is from 1",
		"xe-vf",
		"0000:e3:00.2",
		() => undefined,
		{ sriov_numvfs: "2", vram_quota: "4294967296", sched_priority: "normal" },
		{},
	],
	[
		"Xe: no profile, as before Linux 6.19",
		"xe-vf",
		"0000:e3:00.1",
		remove(`${XE}/sriov_admin`),
		{ vram_quota: undefined },
		{},
	],
	[
		"Xe: no memory of its own",
		"xe-vf",
		"0000:e3:00.1",
		remove(`${XE}/sriov_admin/vf1/profile/vram_quota`),
		{ vram_quota: undefined, exec_quantum_ms: "20" },
		{},
	],
	[
		"Xe: a priority without brackets",
		"xe-vf",
		"0000:e3:00.1",
		write(`${XE}/sriov_admin/vf1/profile/sched_priority`, "low"),
		{ sched_priority: undefined },
		{ sched_priority: "EBADMSG" },
	],
	[
		"Xe: a VF that the PF does not list",
		"xe-vf",
		"0000:e3:00.1",
		remove(`${XE}/virtfn0`),
		{ vram_quota: undefined },
		{},
	],
	[
		"Xe: a VF whose PF has gone",
		"xe-vf",
		"0000:e3:00.1",
		remove("bus/pci/devices/0000:e3:00.0"),
		{ sriov_numvfs: undefined, vram_quota: undefined },
		{},
	],
	[
		"NVIDIA: no type set up",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		() => undefined,
		{ vgpu_type: undefined, creatable_vgpu_types: "1428,1414" },
		{},
	],
	[
		"NVIDIA: types without a header line",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		write(`${VGPU}/creatable_vgpu_types`, "1414 : NVIDIA H200X-1-18C"),
		{ creatable_vgpu_types: "1414" },
		{},
	],
	[
		"NVIDIA: nothing can be created now",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		write(`${VGPU}/creatable_vgpu_types`, "ID    : vGPU Name"),
		{ creatable_vgpu_types: "" },
		{},
	],
	[
		"NVIDIA: a type that is no number",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		write(`${VGPU}/current_vgpu_type`, "H200X"),
		{ vgpu_type: undefined },
		{ vgpu_type: "EBADMSG" },
	],
	[
		"NVIDIA: parameters with commas, blanks or both between them",
		"nvidia-vgpu-mdev",
		MDEV,
		write(`${BOARD}/${MDEV}/nvidia/vgpu_params`, "frame_rate_limiter=0,disable_vnc=1 , enable_uvm=1"),
		{ vgpu_params: "frame_rate_limiter=0,disable_vnc=1,enable_uvm=1" },
		{},
	],
	[
		"NVIDIA: a blank for no parameters",
		"nvidia-vgpu-mdev",
		MDEV,
		write(`${BOARD}/${MDEV}/nvidia/vgpu_params`, " "),
		{ vgpu_params: undefined },
		{},
	],
	[
		"NVIDIA: a driver without parameters",
		"nvidia-vgpu-mdev",
		MDEV,
		remove(`${BOARD}/${MDEV}/nvidia`),
		{ vgpu_params: undefined, mdev_type: "nvidia-232" },
		{},
	],
	[
		"NVIDIA: parameters that cannot be read",
		"nvidia-vgpu-mdev",
		MDEV,
		(root) => {
			remove(`${BOARD}/${MDEV}/nvidia/vgpu_params`)(root);
			mkdirSync(join(root, BOARD, MDEV, "nvidia/vgpu_params"));
		},
		{ vgpu_params: undefined },
		{ vgpu_params: "EISDIR" },
	],
	[
		"NVIDIA: a PF has no directory nvidia",
		"nvidia-vgpu-vf",
		"0000:41:00.0",
		() => undefined,
		{ vgpu_type: undefined, driver_version: "580.65.06" },
		{},
	],
	[
		"NVIDIA: files outside the tree",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		(root) => {
			rmSync(join(root, VGPU), { recursive: true });
			symlinkSync("/etc", join(root, VGPU));
		},
		{ creatable_vgpu_types: undefined },
		{},
	],
	[
		"vfio: a driver that cannot migrate this device",
		"virtio-vf",
		"0000:c1:00.1",
		remove("kernel/debug/vfio/0000:c1:00.1/migration"),
		{ vfio_migration: "none" },
		{},
	],
	[
		"vfio: NVIDIA's driver, which need not say so before an instance has the device",
		"nvidia-vgpu-vf",
		"0000:41:00.5",
		(root) => mkdirSync(join(root, "kernel/debug/vfio/0000:41:00.5"), { recursive: true }),
		{ vfio_migration: undefined },
		{},
	],
	[
		"vfio: vfio-pci itself, of which it is known",
		"vfio-pci",
		"0000:83:06.1",
		(root) => mkdirSync(join(root, "kernel/debug/vfio/0000:83:06.1"), { recursive: true }),
		{ vfio_migration: undefined },
		{},
	],
	[
		"QAT: services with blanks around",
		"qat-vf",
		"0000:6b:00.1",
		write("devices/pci0000:6b/0000:6b:00.0/qat/cfg_services", " dc \n"),
		{ cfg_services: "dc", state: "up" },
		{},
	],
	[
		"QAT: a PF without the files",
		"qat-vf",
		"0000:6b:00.1",
		remove("devices/pci0000:6b/0000:6b:00.0/qat"),
		{ state: undefined },
		{},
	],
	[
		"QAT: a VF that is not bound to vfio",
		"qat-vf",
		"0000:6b:00.2",
		() => undefined,
		{ state: undefined, driver: "4xxxvf" },
		{},
	],
	[
		"HiSilicon: what the queues of a VF follow from",
		"hisilicon-vf",
		"0000:31:00.1",
		() => undefined,
		{ sriov_numvfs: "3", pf_q_num: "64" },
		{},
	],
	[
		"HiSilicon: a driver that is built in, without parameters",
		"hisilicon-vf",
		"0000:31:00.1",
		remove("module/hisi_zip"),
		{ sriov_numvfs: "3", pf_q_num: undefined },
		{},
	],
	[
		"HiSilicon: a VF whose PF has gone",
		"hisilicon-vf",
		"0000:31:00.1",
		remove("bus/pci/devices/0000:31:00.0"),
		{ sriov_numvfs: undefined, pf_q_num: undefined, uacce_api: undefined },
		{},
	],
	[
		"HiSilicon: no uacce",
		"hisilicon-vf",
		"0000:31:00.1",
		remove("devices/pci0000:31/0000:31:00.0/uacce"),
		{ uacce_api: undefined },
		{},
	],
	[
		"HiSilicon: uacce without a device",
		"hisilicon-vf",
		"0000:31:00.1",
		remove("devices/pci0000:31/0000:31:00.0/uacce/hisi_zip-2"),
		{ uacce_api: undefined },
		{},
	],
	[
		"ccw: paths of two types",
		"vfio-ccw",
		CCW,
		write(`${CSS}/chp0.43/type`, "25"),
		{ subchannel_type: "0", chpid_type: "1b,25" },
		{},
	],
	[
		"ccw: one path installed",
		"vfio-ccw",
		CCW,
		(root) => {
			write(`${CSS}/0.0.0313/pimpampom`, "80 80 ff")(root);
			write(`${CSS}/chp0.43/type`, "25")(root);
		},
		{ chpid_type: "1b" },
		{},
	],
	[
		"ccw: nobody says which paths are installed",
		"vfio-ccw",
		CCW,
		remove(`${CSS}/0.0.0313/pimpampom`),
		{ chpid_type: undefined },
		{ chpid_type: "EBADMSG" },
	],
	[
		"ccw: a mask that is none",
		"vfio-ccw",
		CCW,
		write(`${CSS}/0.0.0313/pimpampom`, "all"),
		{},
		{ chpid_type: "EBADMSG" },
	],
	[
		"ccw: paths of which it cannot be read whether they are installed",
		"vfio-ccw",
		CCW,
		(root) => {
			rmSync(join(root, CSS, "0.0.0313/pimpampom"));
			mkdirSync(join(root, CSS, "0.0.0313/pimpampom"));
		},
		{ subchannel_type: "0", chpid_type: undefined },
		{ chpid_type: "EISDIR" },
	],
	[
		"ccw: a path whose type cannot be read",
		"vfio-ccw",
		CCW,
		write(`${CSS}/chp0.43/type`, "x".repeat(5000)),
		{ chpid_type: undefined },
		{ chpid_type: "EFBIG" },
	],
	["ccw: a path without a type", "vfio-ccw", CCW, remove(`${CSS}/chp0.43`), {}, { chpid_type: "EBADMSG" }],
	[
		"ccw: a subchannel that is not on its bus",
		"vfio-ccw",
		CCW,
		remove("bus/css/devices/0.0.0313"),
		{ subchannel_type: undefined },
		{},
	],
	[
		"ap: queues and the types of their cards",
		"vfio-ap",
		MATRIX,
		() => undefined,
		{ matrix: "05.0004,05.0047,06.0004,06.0047", hwtype: "13,14" },
		{},
	],
	["ap: nothing assigned", "vfio-ap", MATRIX, write(`${AP}/matrix`, ""), { matrix: "", hwtype: undefined }, {}],
	[
		"ap: adapters without domains",
		"vfio-ap",
		MATRIX,
		write(`${AP}/matrix`, "05."),
		{ matrix: "05.", hwtype: "13" },
		{},
	],
	[
		"ap: a card that has gone",
		"vfio-ap",
		MATRIX,
		remove("bus/ap/devices/card06"),
		{ hwtype: undefined },
		{ hwtype: "EBADMSG" },
	],
	[
		"ap: a card without a type",
		"vfio-ap",
		MATRIX,
		remove("devices/ap/card06/hwtype"),
		{ hwtype: undefined },
		{ hwtype: "EBADMSG" },
	],
	["ap: no card at all", "vfio-ap", MATRIX, remove("bus/ap/devices"), { hwtype: undefined }, { hwtype: "EBADMSG" }],
	...["card05", "card06"].map(
		(card): Row => [
			`ap: the type of ${card} cannot be read`,
			"vfio-ap",
			MATRIX,
			(root) => {
				remove(`devices/ap/${card}/hwtype`)(root);
				mkdirSync(join(root, "devices/ap", card, "hwtype"));
			},
			{ hwtype: undefined },
			{ hwtype: "EISDIR" },
		],
	),
	[
		"ap: two cards that cannot be read: why the first cannot",
		"vfio-ap",
		MATRIX,
		(root) => {
			remove("devices/ap/card05/hwtype")(root);
			mkdirSync(join(root, "devices/ap/card05/hwtype"));
			write("devices/ap/card06/hwtype", "x".repeat(5000))(root);
		},
		{ hwtype: undefined },
		{ hwtype: "EISDIR" },
	],
	[
		"ap: more queues than the kernel tells",
		"vfio-ap",
		MATRIX,
		(root) => writeFileSync(join(root, AP, "matrix"), "05.0004\n".repeat(512).slice(0, 4095)),
		{ matrix: undefined, hwtype: undefined },
		{ matrix: "EFBIG" },
	],
	[
		"ap: a matrix that cannot be read",
		"vfio-ap",
		MATRIX,
		(root) => {
			rmSync(join(root, AP, "matrix"));
			mkdirSync(join(root, AP, "matrix"));
		},
		{ matrix: undefined, hwtype: undefined },
		{ matrix: "EISDIR" },
	],
];
test.each(ROWS)("%s", (_what, name, id, change, attributes, unreadable) => {
	const device = deviceOf(name, id, change);
	const known: Texts = device.attributes;
	expect(Object.fromEntries(Object.keys(attributes).map((key) => [key, known[key]]))).toEqual(attributes);
	expect(device.unreadable).toEqual(unreadable);
});

describe("what vfio tells is told and not compared", () => {
	test("state and features of the migration", () => {
		expect(deviceOf("mlx5-vf", "0000:06:00.2").facts).toMatchObject({
			vfio_dev: "vfio0",
			migration_state: "RUNNING",
			migration_features: "stop-copy,p2p,pre-copy,dirty-tracking",
		});
	});

	test("a kernel without them, and a driver that cannot migrate, have none", () => {
		expect(deviceOf("mlx5-vf", "0000:06:00.2", remove("kernel/debug")).facts).toEqual({
			numa_node: "1",
			iommu_group: "60",
			driver_override: "mlx5_vfio_pci",
			driver_srcversion: "6A1F1D2B9E0C4D7F83B5A27",
			vfio_dev: "vfio0",
		});
		expect(deviceOf("mlx5-vf", "0000:06:00.4").facts).not.toHaveProperty("migration_state");
	});

	test.skipIf(process.getuid?.() !== 0)("what only root may see is unreadable for others, not absent", () => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["mlx5-vf"]?.populate(sysfs);
		chmodSync(dirname(sysfs), 0o755);
		chmodSync(join(sysfs, "kernel/debug"), 0o700);
		asNobody(() => {
			const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
			const vf = devices.find(({ id }) => id === "0000:06:00.2");
			expect(Snapshot.parse({ schema_version: "1.3", host: "cmp", devices }).devices).toEqual(devices);
			expect(vf?.unreadable_facts).toEqual({ migration_state: "EACCES", migration_features: "EACCES" });
			expect(vf?.fact_sources).toMatchObject({
				migration_state: "kernel/debug/vfio/0000:06:00.2/migration/state",
				migration_features: "kernel/debug/vfio/0000:06:00.2/migration/features",
			});
			expect(vf?.facts).not.toHaveProperty("migration_state");
			expect(vf?.attributes).not.toHaveProperty("vfio_migration");
			// A PF has no vfio device: there is nothing to be told.
			expect(devices.find(({ id }) => id === "0000:06:00.0")).not.toHaveProperty("unreadable_facts");
		});
	});

	/** what stands in the place of a fact's file, its text, its errno */
	const FILES: readonly (readonly [
		what: string,
		change: (path: string) => void,
		fact: string | undefined,
		errno: string | undefined,
	])[] = [
		["a text", (path) => writeFileSync(path, "ixgbe_vfio_pci\n"), "ixgbe_vfio_pci", undefined],
		["no override", (path) => writeFileSync(path, "(null)\n"), undefined, undefined],
		["a blank line", (path) => writeFileSync(path, "\n"), undefined, undefined],
		["no text", (path) => writeFileSync(path, "\u00ff\n"), undefined, "EILSEQ"],
		["a directory", (path) => mkdirSync(path), undefined, "EISDIR"],
		["as much as a snapshot takes", (path) => writeFileSync(path, "x".repeat(1024)), "x".repeat(1024), undefined],
		["more than a snapshot takes", (path) => writeFileSync(path, "x".repeat(1025)), undefined, "EFBIG"],
	];
	test.each(FILES)("a fact's file has %s", (_what, change, fact, errno) => {
		const { facts, unreadable, unreadable_facts, fact_sources } = deviceOf("mlx5-vf", "0000:06:00.2", (root) => {
			const path = join(root, "devices/pci0000:06/0000:06:00.2/driver_override");
			rmSync(path);
			change(path);
		});
		expect(facts?.["driver_override"]).toBe(fact);
		expect(unreadable_facts?.["driver_override"]).toBe(errno);
		expect(fact_sources).not.toHaveProperty("driver_override");
		expect(unreadable).toEqual({});
	});

	test("an empty directory is no device", () => {
		const change = remove("devices/pci0000:06/0000:06:00.2/vfio-dev/vfio0");
		expect(deviceOf("mlx5-vf", "0000:06:00.2", change).facts).not.toHaveProperty("vfio_dev");
	});
});

describe("what classes of devices tell beside what is compared", () => {
	/** class, device, what is changed, facts afterwards (undefined: none) */
	const FACTS: readonly (readonly [what: string, name: string, id: string, (root: string) => void, Texts])[] = [
		[
			"QAT: how the PF is run",
			"qat-vf",
			"0000:6b:00.1",
			() => undefined,
			{ num_rps: "64", pm_idle_enabled: "1", auto_reset: "off" },
		],
		[
			"QAT: a kernel before 6.9",
			"qat-vf",
			"0000:6b:00.1",
			remove("devices/pci0000:6b/0000:6b:00.0/qat/auto_reset"),
			{ num_rps: "64", auto_reset: undefined },
		],
		["QAT: a VF that is not bound to vfio", "qat-vf", "0000:6b:00.2", () => undefined, { num_rps: undefined }],
		["ccw: the subchannel", "vfio-ccw", CCW, () => undefined, { modalias: "css:t0", driver_override: "vfio_ccw" }],
		[
			"ccw: no override",
			"vfio-ccw",
			CCW,
			write(`${CSS}/0.0.0313/driver_override`, "(null)"),
			{ modalias: "css:t0", driver_override: undefined },
		],
		[
			"ap: what the guest sees",
			"vfio-ap",
			MATRIX,
			() => undefined,
			{ guest_matrix: "05.0004,05.0047", control_domains: "0004,0047" },
		],
		[
			"ap: a kernel without guest_matrix, no control domain",
			"vfio-ap",
			MATRIX,
			(root) => {
				remove(`${AP}/guest_matrix`)(root);
				write(`${AP}/control_domains`, "")(root);
			},
			{ guest_matrix: undefined, control_domains: undefined },
		],
		[
			"ap: a type has the masks of its host, and no queues",
			"vfio-ap",
			"matrix/vfio_ap-passthrough",
			write("bus/ap/apmask", "0x00"),
			{ apmask: "0x00", guest_matrix: undefined },
		],
		[
			"a module without a checksum of its sources",
			"mlx5-vf",
			"0000:06:00.2",
			remove("module/mlx5_vfio_pci/srcversion"),
			{ driver_srcversion: undefined },
		],
	];
	test.each(FACTS)("%s", (_what, name, id, change, facts) => {
		const device = deviceOf(name, id, change);
		const known: Texts = device.facts ?? {};
		expect(Object.fromEntries(Object.keys(facts).map((key) => [key, known[key]]))).toEqual(facts);
		for (const key of Object.keys(facts)) expect(device.attributes).not.toHaveProperty([key]);
	});
});

describe("what is told of a type of mdevs", () => {
	const TYPE = "devices/pci0000:00/0000:00:02.0/mdev_supported_types/i915-GVTg_V5_4";
	const GVT_G = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
	const description = "low_gm_size: 128MB, high_gm_size: 512MB, fence: 4, resolution: 1920x1200, weight: 4";

	test("its description, in a line, and by its mdevs where it stands", () => {
		expect(deviceOf("gvt-g", "0000:00:02.0/i915-GVTg_V5_4")).toMatchObject({ facts: { description } });
		expect(deviceOf("gvt-g", GVT_G)).toMatchObject({
			facts: { description },
			fact_sources: { description: `${TYPE}/description` },
		});
	});

	test("its name", () => {
		expect(deviceOf("nvidia-vgpu-mdev", MDEV).facts).toMatchObject({ name: "GRID T4-4Q" });
	});

	test("a type without either, and one of which they cannot be read", () => {
		const without = deviceOf("gvt-g", GVT_G, remove(`${TYPE}/description`));
		expect(without).not.toHaveProperty("facts");
		expect(without).not.toHaveProperty("unreadable_facts");
		const directory = deviceOf("gvt-g", GVT_G, (root) => {
			remove(`${TYPE}/description`)(root);
			mkdirSync(join(root, TYPE, "description"));
		});
		expect(directory).toMatchObject({
			unreadable_facts: { description: "EISDIR" },
			fact_sources: { description: `${TYPE}/description` },
		});
	});
});

describe("the driver of NVIDIA in /proc", () => {
	/** the file of the board; the fact, or errno */
	const FILES: readonly (readonly [text: string | undefined, firmware: string | undefined, errno?: string])[] = [
		["Model: \t\t NVIDIA H200\nGPU Firmware: \t 580.65.06\nGPU Excluded:\t No", "580.65.06"],
		["GSP Firmware: \t 470.01", "470.01"],
		["GPU Firmware: \t N/A", "disabled"],
		["GPU Firmware: \t ", undefined],
		["Model: \t\t Tesla M60", undefined],
		["Model: \t\t \u00ff", undefined, "EILSEQ"],
		[undefined, undefined],
	];
	test.each(FILES)("%j", (text, firmware, errno) => {
		const file = "../proc/driver/nvidia/gpus/0000:41:00.0/information";
		const device = deviceOf("nvidia-vgpu-vf", "0000:41:00.4", text === undefined ? remove(file) : write(file, text));
		expect(device.facts?.["gsp_firmware"]).toBe(firmware);
		expect(device.unreadable_facts?.["gsp_firmware"]).toBe(errno);
		const source = `/proc/${file.slice("../proc/".length)}`;
		const isThere = firmware !== undefined || errno !== undefined;
		expect(device.fact_sources?.["gsp_firmware"]).toBe(isThere ? source : undefined);
		expect(JSON.stringify(device)).not.toContain("GPU-");
	});

	test("a tree that is not called sys has nothing beside it", () => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["nvidia-vgpu-vf"]?.populate(sysfs);
		renameSync(sysfs, `${sysfs}-2`);
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: `${sysfs}-2`, libvirtDir: libvirt });
		expect(devices.length).toBeGreaterThan(0);
		for (const { facts } of devices) expect(facts).not.toHaveProperty("gsp_firmware");
	});

	test("an mdev on a VF is one of the PF's board", () => {
		const device = deviceOf(
			"nvidia-vgpu-mdev",
			MDEV,
			(root) => {
				populatePci(root, {
					address: "0000:41:00.1",
					below: "pci0000:40/0000:40:01.1",
					vendor: "10de",
					driver: "nvidia",
				});
				rmSync(join(root, "../proc"), { recursive: true });
				populateNvidiaProc(root, "0000:41:00.1", "550.90.05");
				link(join(root, BOARD, "physfn"), join(root, `${BOARD.slice(0, -1)}1`));
			},
			{ "nvidia-smi": "00000000:41:00.1, Enabled, Disabled\n" },
		);
		expect(device).toMatchObject({
			parent: "0000:41:00.0",
			attributes: { ecc_mode: "enabled", mig_mode: "disabled" },
			facts: { gsp_firmware: "550.90.05" },
		});
	});
});

describe("devlink", () => {
	const port = (handle: string, text: object) => JSON.stringify({ port: { [handle]: text } });
	const capabilities = { function: { migratable: "enable", roce: "enable" } };

	/** ports that devlink shows, migratable of the first VF */
	const PORTS: readonly (readonly [what: string, ports: string, migratable: string | undefined])[] = [
		[
			"eswitch in legacy mode: no ports of VFs",
			port("pci/0000:06:00.0/1", { flavour: "physical", ...capabilities }),
			undefined,
		],
		["its own", port("pci/0000:06:00.0/1", { flavour: "pcivf", vfnum: 0, ...capabilities }), "enable"],
		["another VF's", port("pci/0000:06:00.0/1", { flavour: "pcivf", vfnum: 1, ...capabilities }), undefined],
		["that of another PF", port("pci/0000:07:00.0/1", { flavour: "pcivf", vfnum: 0, ...capabilities }), undefined],
		[
			"another controller's",
			port("pci/0000:06:00.0/1", { flavour: "pcivf", vfnum: 0, external: true, ...capabilities }),
			undefined,
		],
		[
			"without capabilities, as iproute2 before 6.2",
			port("pci/0000:06:00.0/1", { flavour: "pcivf", vfnum: 0 }),
			undefined,
		],
		["of a handle that is none", port("netdevsim", { flavour: "pcivf", vfnum: 0, ...capabilities }), undefined],
		[
			"with a value that is no text",
			port("pci/0000:06:00.0/1", { flavour: "pcivf", vfnum: 0, function: { migratable: {} } }),
			undefined,
		],
	];
	test.each(PORTS)("port of a VF: %s", (_what, text, migratable) => {
		const device = deviceOf("mlx5-vf", "0000:06:00.2", undefined, { "devlink port show": text });
		expect(device.attributes["migratable"]).toBe(migratable);
		expect(device.unreadable).toEqual({});
	});

	const INFO: readonly (readonly [versions: object | undefined, fw: string | undefined])[] = [
		[{ running: { "fw.version": "22.41.1000", fw: "x" } }, "22.41.1000"],
		[{ running: { fw: "1.67.1-28" } }, "1.67.1-28"],
		[{ stored: { fw: "1.67.1-28" } }, undefined],
		[undefined, undefined],
	];
	test.each(INFO)("versions %j", (versions, fw) => {
		const text = JSON.stringify({ info: { "pci/0000:b5:00.0": { driver: "pds_core", versions } } });
		const device = deviceOf("pds-vf", "0000:b5:00.1", undefined, { "devlink dev info": text });
		expect(device.attributes["fw_version"]).toBe(fw);
	});
});

describe("nvidia-smi", () => {
	/** what it prints, what is known of the board 0000:41:00.0 */
	const LINES: readonly (readonly [text: string, ecc: string | undefined, mig: string | undefined])[] = [
		["00000000:41:00.0, Enabled, Disabled\n", "enabled", "disabled"],
		["0000:41:00.0,Disabled,Enabled", "disabled", "enabled"],
		["00000000:03:00.0, Enabled, [N/A]\n00000000:41:00.0, [N/A], [N/A]\n", undefined, undefined],
		["00000000:41:00.0, [Not Supported], N/A\n", undefined, undefined],
		["00000000:03:00.0, Enabled, Enabled\n", undefined, undefined],
		// Another board: sysfs shows all digits of such a domain.
		["00010000:41:00.0, Enabled, Enabled\n", undefined, undefined],
		["", undefined, undefined],
	];
	test.each(LINES)("%j", (text, ecc, mig) => {
		const { attributes, unreadable } = deviceOf("nvidia-vgpu-mdev", MDEV, undefined, { "nvidia-smi": text });
		expect([attributes["ecc_mode"], attributes["mig_mode"]]).toEqual([ecc, mig]);
		expect(unreadable).toEqual({});
	});

	const NO_LINES = [
		"00000000:41:00.0, Ein, Aus\n",
		"00000000:41:00.0, Enabled\n",
		"00000000:41:00.0, Enabled, Disabled, Disabled\n",
		"No devices were found\n",
		"pci.bus_id, ecc.mode.current, mig.mode.current\n",
	];
	test.each(NO_LINES)("%j is another format", (text) => {
		const { unreadable } = deviceOf("nvidia-vgpu-mdev", MDEV, undefined, { "nvidia-smi": text });
		expect(unreadable).toEqual({ ecc_mode: "EBADMSG", mig_mode: "EBADMSG" });
	});
});

describe("vdpa", () => {
	const DEVICE = { vdpa0: { mgmtdev: "auxiliary/mlx5_core.eth.2", max_vqs: 5 } };
	const MANAGEMENT = { "auxiliary/mlx5_core.eth.2": { max_supported_vqs: 257, dev_features: ["MAC", "MQ"] } };

	test("a device of a management device that vdpa does not list has nothing of it", () => {
		const answers = {
			"vdpa dev show": JSON.stringify({ dev: { vdpa0: { max_vqs: 5 } } }),
			"vdpa mgmtdev show": JSON.stringify({ mgmtdev: MANAGEMENT }),
		};
		const { attributes, unreadable } = deviceOf("vdpa", "vdpa0", undefined, answers);
		expect(attributes).toEqual({ driver: "vhost_vdpa", max_vqs: "5" });
		expect(unreadable).toEqual({});
	});

	test("what an answer does not make sense of is unreadable, what needs it too", () => {
		const answers = { "vdpa dev show": "oops", "vdpa mgmtdev show": JSON.stringify({ mgmtdev: MANAGEMENT }) };
		expect(deviceOf("vdpa", "vdpa0", undefined, answers).unreadable).toEqual({
			max_vqs: "EBADMSG",
			dev_features: "EBADMSG",
			max_supported_vqs: "EBADMSG",
		});
	});

	test("what the device was made with is told and not compared", () => {
		const answers = {
			"vdpa dev show": JSON.stringify({ dev: DEVICE }),
			"vdpa dev config show": JSON.stringify({ config: { vdpa0: { mtu: 9000, max_vq_pairs: 4 } } }),
			"vdpa mgmtdev show": JSON.stringify({
				mgmtdev: { "auxiliary/mlx5_core.eth.2": { supported_classes: ["net", "block"] } },
			}),
		};
		const { attributes, facts } = deviceOf("vdpa", "vdpa0", undefined, answers);
		expect(facts).toMatchObject({ mtu: "9000", max_vq_pairs: "4", supported_classes: "net,block" });
		expect(attributes).toEqual({ driver: "vhost_vdpa", max_vqs: "5" });
	});

	/** what vdpa tells of features, what is told of them, or errno */
	const FEATURES: readonly (readonly [told: unknown, text: string | undefined, errno?: string])[] = [
		[["MAC", "MTU"], "MAC,MTU"],
		[[], ""],
		[["MAC", "MTU", 40], "MAC,MTU,bit_40"],
		[["MAC", ["MTU"]], undefined, "EBADMSG"],
		[{ MAC: true }, undefined, "EBADMSG"],
		[null, undefined, "EBADMSG"],
	];
	const deviceWith = (features: unknown) =>
		deviceOf("vdpa", "vdpa0", undefined, {
			"vdpa dev show": JSON.stringify({ dev: DEVICE }),
			"vdpa dev config show": JSON.stringify({ config: { vdpa0: { negotiated_features: features } } }),
			"vdpa mgmtdev show": JSON.stringify({ mgmtdev: { "auxiliary/mlx5_core.eth.2": { dev_features: features } } }),
		});
	test.each(FEATURES)("features %j", (told, text, errno) => {
		const { attributes, unreadable } = deviceWith(told);
		for (const name of ["negotiated_features", "dev_features"])
			expect([attributes[name], unreadable[name]]).toEqual([text, errno]);
	});

	test("a value of another form is unreadable, not absent", () => {
		const answers = {
			"vdpa dev show": JSON.stringify({ dev: { vdpa0: { ...DEVICE.vdpa0, max_vqs: {} } } }),
			"vdpa mgmtdev show": JSON.stringify({ mgmtdev: { "auxiliary/mlx5_core.eth.2": { supported_classes: [1] } } }),
		};
		const { unreadable, unreadable_facts } = deviceOf("vdpa", "vdpa0", undefined, answers);
		expect({ unreadable, unreadable_facts }).toEqual({
			unreadable: { max_vqs: "EBADMSG" },
			unreadable_facts: { supported_classes: "EBADMSG" },
		});
	});

	test("a feature without a name that the target does not offer is refused", () => {
		const devices = [deviceWith(["MAC", "MTU", 40])];
		const candidates = [deviceWith(["MAC"])];
		const decision = decide({ source_host: "a", target_host: "b", devices, candidates, policy: DEFAULT_POLICY });
		expect(decision.verdict).toBe("reject");
		expect(decision.reasons.map(({ code }) => code)).toContain("set.not_superset");
	});

	test("a device without a PCI function above it has no parent, one with another name is skipped", () => {
		const { sysfs, libvirt } = temporaryHost();
		for (const name of ["vdpasim0", "a name"]) {
			mkdirSync(join(sysfs, "devices", name), { recursive: true });
			mkdirSync(join(sysfs, "bus/vdpa/devices"), { recursive: true });
			symlinkSync(`../../../devices/${name}`, join(sysfs, "bus/vdpa/devices", name));
		}
		writeFileSync(join(sysfs, "devices/vdpasim0/software_version"), "1.0.0\n");
		expect(takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt }).devices).toEqual([
			{
				id: "vdpasim0",
				kind: "vdpa",
				capacity: 1,
				path: "devices/vdpasim0",
				attributes: { software_version: "1.0.0" },
				unreadable: {},
			},
		]);
	});
});
