import { mkdirSync, symlinkSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost, handlesOf } from "../../src/agent/tools.ts";
import { ownTime } from "../support/own-time.ts";
import { writePrograms } from "../support/programs.ts";
import { populatePci, populateVdpa, temporaryHost, writeFiles } from "../support/sysfs.ts";
import { CLASS_HOSTS, populateSriov } from "./hosts.ts";

/** A host that has reason to ask devlink and nvidia-smi. */
function hostThatAsks() {
	const { sysfs, libvirt } = temporaryHost();
	for (const name of ["nvidia-vgpu-mdev", "mlx5-vf"]) CLASS_HOSTS[name]?.populate(sysfs);
	return { sysfsRoot: sysfs, libvirtDir: libvirt };
}

function programs(script: string) {
	return writePrograms({ devlink: script, vdpa: script, "nvidia-smi": script });
}

describe("what is asked", () => {
	/** class of the devices that the host has, how its programs are called */
	const ASKED: readonly (readonly [name: string, calls: readonly string[]])[] = [
		["mlx5-vf", ["-j port show", "-j dev info pci/0000:06:00.0"]],
		["pds-vf", ["-j dev info pci/0000:b5:00.0"]],
		["vdpa", ["-j mgmtdev show", "-j dev show", "-j dev config show"]],
		["nvidia-vgpu-mdev", ["--query-gpu=pci.bus_id,ecc.mode.current,mig.mode.current --format=csv,noheader"]],
		["qat-vf", []],
		["vfio-pci", []],
	];
	test.each(ASKED)("of a host with %s", async (name, calls) => {
		const { sysfs } = temporaryHost();
		CLASS_HOSTS[name]?.populate(sysfs);
		const { answers = {}, kernel_release } = await askHost(sysfs, programs('echo "$*"'));
		expect(Object.values(answers)).toEqual(calls.map((call) => ({ text: `${call}\n` })));
		expect(kernel_release).toBe(release());
	});

	test("of a host with VFs of more PFs than programs are started for, or of none that can be seen: all at once", async () => {
		for (const pfs of [0, 64, 65]) {
			const { sysfs } = temporaryHost();
			populatePci(sysfs, { address: "0000:06:00.2", driver: "mlx5_vfio_pci" });
			for (let bus = 0; bus < pfs; bus++) {
				const node = populatePci(sysfs, { address: `0001:${(bus + 16).toString(16)}:00.0`, driver: "mlx5_core" });
				symlinkSync("../nowhere", join(node, "virtfn0"));
			}
			const { answers = {} } = await askHost(sysfs, programs("echo asked"));
			const asked = Object.keys(answers).filter((name) => name.startsWith("devlink dev info"));
			expect(asked).toHaveLength(pfs === 64 ? 64 : 1);
			expect(asked.includes("devlink dev info")).toBe(pfs !== 64);
		}
	});

	test("of a host whose vDPA device was given a name without a digit", async () => {
		const { sysfs } = temporaryHost();
		populateVdpa(sysfs, populatePci(sysfs, { address: "0000:06:00.2" }), "blue");
		const { answers = {} } = await askHost(sysfs, programs("echo asked"));
		expect(Object.keys(answers)).toEqual(["vdpa mgmtdev show", "vdpa dev show", "vdpa dev config show"]);
	});

	test("nothing of a tree that is not this machine's", async () => {
		expect(await askHost(hostThatAsks().sysfsRoot)).toEqual({});
	});

	test("a driver or a bus without devices asks for nothing", async () => {
		const { sysfs } = temporaryHost();
		populatePci(sysfs, { address: "0000:06:00.0", driver: "mlx5_core" });
		writeFiles(sysfs, { "bus/pci/drivers/mlx5_vfio_pci/bind": "", "bus/pci/drivers/mlx5_vfio_pci/new_id": "" });
		mkdirSync(join(sysfs, "bus/vdpa/devices"), { recursive: true });
		expect((await askHost(sysfs, programs("echo asked"))).answers).toEqual({});
	});
});

describe("row 67: a tool that fails makes its attributes unreadable, and only those", () => {
	/** what the tools do, errno of what they would have told */
	const FAILURES: readonly (readonly [what: string, script: string, errno: string])[] = [
		["fail", "exit 1", "EIO"],
		["print another format", "echo 'devlink: version 9, see --help'", "EBADMSG"],
		["print JSON of another shape", "echo '[{\"ports\": []}]'", "EBADMSG"],
		["print in another language", "printf 'pci 00000000:41:00.0 aktiviert f\\303\\274r'", "EILSEQ"],
		["flood", "yes", "EFBIG"],
	];
	test.each(FAILURES)("when they %s", async (_what, script, errno) => {
		const { devices } = await snapshot(script);
		expect(unreadable(devices)).toEqual({
			fw_version: errno,
			fw_psid: errno,
			migratable: errno,
			roce: errno,
			ipsec_crypto: errno,
			ipsec_packet: errno,
			max_io_eqs: errno,
			ecc_mode: errno,
			mig_mode: errno,
		});
		for (const { attributes } of devices) expect(attributes).toHaveProperty("kernel_release");
	});

	test("when they are missing", async () => {
		const host = hostThatAsks();
		const nowhere = { devlink: "/nowhere/devlink", vdpa: "/nowhere/vdpa", "nvidia-smi": "/nowhere/nvidia-smi" };
		const told = await askHost(host.sysfsRoot, nowhere);
		const { devices } = takeSnapshot({ host: "cmp", ...host, told });
		expect(unreadable(devices)).toMatchObject({ migratable: "ENOENT", ecc_mode: "ENOENT" });
	});

	test("when all of them hang, in 5 s together", async () => {
		const passed = ownTime();
		const { devices } = await snapshot("sleep 600 & wait");
		expect(passed()).toBeLessThanOrEqual(5_000);
		expect(unreadable(devices)).toMatchObject({ migratable: "ETIMEDOUT", ecc_mode: "ETIMEDOUT" });
	}, 20_000);

	test("the devices of the vdpa bus are unreadable in what vdpa would have told", async () => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["vdpa"]?.populate(sysfs);
		const told = await askHost(sysfs, programs("exit 1"));
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
		expect(devices.find(({ id }) => id === "vdpa0")).toMatchObject({
			attributes: { driver: "vhost_vdpa" },
			unreadable: { max_vqs: "EIO", negotiated_features: "EIO", dev_features: "EIO", max_supported_vqs: "EIO" },
		});
	});

	async function snapshot(script: string) {
		const host = hostThatAsks();
		const told = await askHost(host.sysfsRoot, programs(script));
		return takeSnapshot({ host: "cmp", ...host, told });
	}

	function unreadable(devices: readonly { readonly unreadable: Readonly<Record<string, string>> }[]) {
		return Object.assign({}, ...devices.map((device) => device.unreadable));
	}
});

describe("ports of more VFs than one answer may tell of", () => {
	const PF = "devices/pci0000:06/0000:06:00.0";
	const OTHERS = Array.from({ length: 15 }, (_, index) => `0000:${(0x10 + index).toString(16)}:00.0`);
	const PORT = '{"flavour":"pcivf","vfnum":0,"function":{"migratable":"enable"}}';
	/** More than a command may print about all of them, and what there is about each PF. */
	const DEVLINK = `case "$*" in
		"-j port show") yes;;
		"-j port show pci/0000:06:00.0") echo '{"port":{"pci/0000:06:00.0/1":${PORT}}}';;
		"-j port show pci/0000:1e:00.0") exit 1;;
		*) echo '{"port":{}}';;
	esac`;

	test("each PF is asked by itself, and is unreadable by itself", { timeout: 180_000 }, async () => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["mlx5-vf"]?.populate(sysfs);
		for (const address of OTHERS) populatePci(sysfs, { address, driver: "mlx5_core" });
		populatePci(sysfs, { address: "0000:1e:00.1", physfn: "0000:1e:00.0", driver: "mlx5_vfio_pci" });
		const nodes = [PF, ...OTHERS.map((address) => `devices/pci${address.slice(0, 7)}/${address}`)];
		const addVf = (number: number) =>
			symlinkSync("../nowhere", join(sysfs, nodes[number % nodes.length] ?? "", `virtfn${number}`));
		// The host of the class has three.
		for (let number = 3; number < 3_000; number++) addVf(number);
		const { answers = {} } = await askHost(sysfs, programs('echo "$*"'));
		expect(portAnswers(answers)).toEqual([["devlink port show", { text: "-j port show\n" }]]);

		addVf(3_000);
		const told = await askHost(sysfs, programs(DEVLINK));
		expect(portAnswers(told.answers).map(([name]) => name)).toEqual(
			["0000:06:00.0", ...OTHERS].map((pf) => `devlink port show pci/${pf}`),
		);
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
		expect(devices.find(({ id }) => id === "0000:06:00.2")).toMatchObject({
			attributes: { migratable: "enable" },
			sources: { migratable: "/usr/sbin/devlink -j port show pci/0000:06:00.0" },
		});
		expect(devices.find(({ id }) => id === "0000:1e:00.1")?.unreadable).toMatchObject({ migratable: "EIO" });
	});

	function portAnswers(answers: object | undefined): [string, unknown][] {
		return Object.entries(answers ?? {}).filter(([name]) => name.startsWith("devlink port show"));
	}
});

/**
 * One board of which the driver cannot tell ends the list of all (net/devlink/dev.c, `devlink_nl_info_get_dump_one`), as mlx5_core
 * could not before Linux 7.0 where the version of a firmware that had been flashed could not be read (`mlx5_fw_version_query`).
 */
test("a board that devlink cannot tell of is unreadable by itself", async () => {
	const { sysfs, libvirt } = temporaryHost();
	CLASS_HOSTS["mlx5-vf"]?.populate(sysfs);
	const board = { address: "0000:1e:00.0", driver: "mlx5_core" };
	populateSriov(sysfs, board, [{ address: "0000:1e:00.1", driver: "mlx5_vfio_pci" }]);
	const versions = '{"fixed":{"fw.psid":"MT_0000000359"},"running":{"fw.version":"22.41.1000"}}';
	const devlink = `case "$*" in
		"-j dev info pci/0000:06:00.0") echo '{"info":{"pci/0000:06:00.0":{"driver":"mlx5_core","versions":${versions}}}}';;
		"-j dev info"*) echo '{"info":{}}'; exit 1;;
		*) echo '{"port":{}}';;
	esac`;
	const told = await askHost(sysfs, programs(devlink));
	const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
	expect(devices.find(({ id }) => id === "0000:06:00.2")).toMatchObject({
		attributes: { fw_psid: "MT_0000000359", fw_version: "22.41.1000" },
		sources: { fw_psid: "/usr/sbin/devlink -j dev info pci/0000:06:00.0" },
		unreadable: {},
	});
	expect(devices.find(({ id }) => id === "0000:1e:00.1")?.unreadable).toEqual({ fw_psid: "EIO", fw_version: "EIO" });
});

/** nvidia-smi(1): 15 is a GPU that has fallen off the bus; of the others it says nothing then, unless it is asked about one. */
test("a GPU that has fallen off the bus is unreadable by itself", async () => {
	const { sysfs, libvirt } = temporaryHost();
	CLASS_HOSTS["nvidia-vgpu-vf"]?.populate(sysfs);
	const lost = { address: "0000:42:00.0", vendor: "10de", driver: "nvidia" };
	populateSriov(sysfs, lost, [
		{
			...lost,
			address: "0000:42:00.4",
			files: { "nvidia/current_vgpu_type": "1414", "nvidia/creatable_vgpu_types": "" },
		},
	]);
	const script = `case "$*" in
		"--id=0000:41:00.0 "*) echo '00000000:41:00.0, Enabled, Disabled';;
		*) echo 'Unable to determine the device handle for GPU0: 0000:42:00.0: GPU is lost.  Reboot the system to recover this GPU'; exit 15;;
	esac`;
	const told = await askHost(sysfs, programs(script));
	const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
	const healthy = devices.find(({ id }) => id === "0000:41:00.4");
	expect(healthy).toMatchObject({ attributes: { ecc_mode: "enabled", mig_mode: "disabled" }, unreadable: {} });
	expect(healthy?.sources?.["ecc_mode"]).toBe(
		"/usr/bin/nvidia-smi --id=0000:41:00.0 --query-gpu=pci.bus_id,ecc.mode.current,mig.mode.current --format=csv,noheader",
	);
	const { unreadable, sources } = devices.find(({ id }) => id === "0000:42:00.4") ?? {};
	expect(unreadable).toEqual({ ecc_mode: "EIO", mig_mode: "EIO" });
	expect(sources?.["ecc_mode"]).toContain("--id=0000:42:00.0");
});

/** text of an answer, what is read in it */
const ANSWERS: readonly (readonly [text: string, handles: object])[] = [
	['{"port":{}}', {}],
	['{"port":{"pci/0000:06:00.0/1":{"vfnum":1},"odd":7}}', { "pci/0000:06:00.0/1": { vfnum: 1 }, odd: {} }],
	['{"ports":{}}', { errno: "EBADMSG" }],
	['{"port":[]}', { errno: "EBADMSG" }],
	["", { errno: "EBADMSG" }],
	["null", { errno: "EBADMSG" }],
];
test.each(ANSWERS)("the answer %j", (text, handles) => {
	const found = handlesOf({ answers: { "devlink port show": { text } } }, "devlink port show", "port");
	expect(found instanceof Map ? Object.fromEntries(found) : found).toEqual(handles);
});
