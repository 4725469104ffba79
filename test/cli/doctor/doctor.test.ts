import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { debugfsErrno } from "../../../src/agent/collectors/vfio.ts";
import type { Overlay } from "../../../src/agent/overlay.ts";
import { applyOverlays } from "../../../src/agent/overlay.ts";
import { readOverlays } from "../../../src/agent/overlay-file.ts";
import { takeSnapshot } from "../../../src/agent/scan.ts";
import { openSysfs } from "../../../src/agent/sysfs.ts";
import { askHost } from "../../../src/agent/tools.ts";
import { diagnose, warningsOf } from "../../../src/cli/doctor/diagnosis.ts";
import { renderDiagnosis } from "../../../src/cli/doctor/render.ts";
import { DEFAULT_POLICY } from "../../../src/compat/policy.ts";
import { CLASS_HOSTS } from "../../agent/hosts.ts";
import { novacompat } from "../../support/cli.ts";
import { writePrograms } from "../../support/programs.ts";
import {
	asNobody,
	populateDomain,
	populatePci,
	type TestHost,
	temporaryHost,
	writeFiles,
} from "../../support/sysfs.ts";

const SAMPLES = join(import.meta.dirname, "../../../config/samples/overlay.d");
const LIBVIRT = "/run/libvirt/qemu";
const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";

interface Case {
	/** Classes of devices that the host has. */
	readonly classes: readonly string[];
	/** What all of its programs do, unless it is what the host of the class says. */
	readonly programs?: string;
	readonly overlays?: readonly Overlay[];
}

async function diagnosisOf({ classes, programs, overlays = [] }: Case, { sysfs, libvirt } = temporaryHost()) {
	const scripts = { devlink: "exit 1", vdpa: "exit 1", "nvidia-smi": "exit 1" };
	for (const name of classes) {
		CLASS_HOSTS[name]?.populate(sysfs);
		Object.assign(scripts, CLASS_HOSTS[name]?.programs);
	}
	const all = programs === undefined ? scripts : { devlink: programs, vdpa: programs, "nvidia-smi": programs };
	const told = { ...(await askHost(sysfs, writePrograms(all))), kernel_release: "6.8.0-45-generic" };
	const {
		devices,
		instances = [],
		dropped = [],
	} = takeSnapshot({
		host: "cmp-01",
		sysfsRoot: sysfs,
		libvirtDir: libvirt,
		told,
	});
	const domains = { directory: LIBVIRT, domains: instances.length };
	const debugfs = debugfsErrno(openSysfs(sysfs));
	const overlaid = applyOverlays(devices, overlays);
	return diagnose({
		host: "cmp-01",
		told,
		warnings: [],
		libvirt: domains,
		missing_overlay_dir: null,
		overlays,
		overlaid,
		dropped,
		debugfs,
		policy: DEFAULT_POLICY,
	});
}

const SAMPLED = await readOverlays(SAMPLES);

/** name of the golden file (`vitest run -u` writes it anew), the host, how much there is to look at */
const CASES: readonly (readonly [name: string, found: Case, warnings: number])[] = [
	["mlx5", { classes: ["mlx5-vf"], overlays: SAMPLED }, 1],
	["mlx5-without-devlink", { classes: ["mlx5-vf"], programs: "echo 'devlink: not what it was'" }, 3],
	["nvidia-vgpu", { classes: ["nvidia-vgpu-vf"] }, 0],
	["s390", { classes: ["vfio-ccw", "vfio-ap"] }, 3],
	["hisilicon-overlaid", { classes: ["hisilicon-vf"], overlays: SAMPLED }, 0],
];
test.each(CASES)("what doctor says of %s", async (name, found, warnings) => {
	const diagnosis = await diagnosisOf(found);
	const text = renderDiagnosis(diagnosis, { colour: false });
	await expect(text).toMatchFileSnapshot(join(import.meta.dirname, `../golden/doctor-${name}.txt`));
	expect(warningsOf(diagnosis)).toBe(warnings);
});

describe("what migration hinges on", () => {
	test("is what the engine would refuse a destination for", async () => {
		const { outlooks } = await diagnosisOf({ classes: ["mlx5-vf"] });
		expect(outlooks.map(({ device_class, verdict, devices }) => [device_class, verdict, devices])).toEqual([
			["mlx5-vf", "accept", ["0000:06:00.2", "0000:06:00.3"]],
			["mlx5-vf", "reject", ["0000:06:00.4"]],
		]);
		expect(outlooks[0]?.hinges_on).toEqual(
			expect.arrayContaining(["vendor", "device", "driver", "migratable", "roce", "max_io_eqs"]),
		);
		// Places and what only warns are nothing that it hinges on.
		for (const name of ["revision", "subsystem_device", "fw_version", "kernel_release"]) {
			expect(outlooks[0]?.hinges_on).not.toContain(name);
		}
		expect(outlooks[0]?.missing).toEqual(["ipsec_packet"]);
	});

	test("a Neutron port is unplugged, so nothing does", async () => {
		const host = temporaryHost();
		populateDomain(host.libvirt, { uuid: UUID, ports: ["0000:83:06.1"] });
		expect((await diagnosisOf({ classes: ["vfio-pci"] }, host)).outlooks).toEqual([]);
	});

	test("devices that instances have are not free", async () => {
		const host = temporaryHost();
		populateDomain(host.libvirt, { uuid: UUID, pci: ["0000:06:00.2"] });
		const { outlooks } = await diagnosisOf({ classes: ["mlx5-vf"] }, host);
		expect(outlooks.map(({ free }) => free)).toEqual([1, 1]);
	});
});

describe("what cannot be read", () => {
	/** errno, what would help */
	const REMEDIES: readonly (readonly [target: string, errno: string, remedy: string])[] = [
		["/etc/hostname", "EXDEV", "a link leads out of sysfs"],
		["software_version", "ELOOP", "see errno(3)"],
	];
	test.each(REMEDIES)("a link to %s", async (target, errno, remedy) => {
		const host = temporaryHost();
		const node = populatePci(host.sysfs, { address: "0000:3b:10.0", driver: "vfio-pci" });
		symlinkSync(target, join(node, "software_version"));
		const { unreadable } = await diagnosisOf({ classes: [] }, host);
		expect(unreadable).toEqual([
			{ attributes: ["software_version"], errno, source: "<path>/software_version", devices: ["0000:3b:10.0"], remedy },
		]);
	});

	test("a device that an instance has and sysfs does not show", async () => {
		const host = temporaryHost();
		populateDomain(host.libvirt, { uuid: UUID, pci: ["0000:3b:10.0"] });
		const { unreadable } = await diagnosisOf({ classes: [] }, host);
		expect(unreadable.map(({ attributes, errno, source }) => [attributes, errno, source])).toEqual([
			[["vendor"], "ENODEV", "vendor"],
			[["device"], "ENODEV", "device"],
		]);
	});

	test.each([
		["not installed", "/nowhere/devlink", "ENOENT", "install /usr/sbin/devlink"],
		["not to be executed", import.meta.dirname, "EACCES", "let the agent's user execute /usr/sbin/devlink"],
	])("a program that is %s", async (_what, devlink, errno, remedy) => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["pds-vf"]?.populate(sysfs);
		const told = await askHost(sysfs, { devlink, vdpa: "/nowhere/vdpa", "nvidia-smi": "/nowhere" });
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
		const overlaid = applyOverlays(devices, []);
		const { unreadable, programs } = diagnose({
			host: "cmp",
			told,
			warnings: [],
			libvirt: { directory: LIBVIRT, domains: 0 },
			missing_overlay_dir: null,
			overlays: [],
			overlaid,
			dropped: [],
			debugfs: undefined,
			policy: DEFAULT_POLICY,
		});
		expect(unreadable[0]).toMatchObject({ attributes: ["fw_version"], errno, remedy });
		expect(programs[0]).toMatchObject({ errno, remedy });
	});

	test.skipIf(process.getuid?.() !== 0)("what only root may see, as another user", async () => {
		const host = temporaryHost();
		CLASS_HOSTS["qat-vf"]?.populate(host.sysfs);
		chmodSync(dirname(host.sysfs), 0o755);
		chmodSync(join(host.sysfs, "kernel/debug"), 0o700);
		chmodSync(join(host.sysfs, "bus/pci/devices/0000:6b:00.0/qat/cfg_services"), 0o600);
		asNobody(() => {
			const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: host.sysfs, libvirtDir: host.libvirt });
			const debugfs = debugfsErrno(openSysfs(host.sysfs));
			const overlaid = applyOverlays(devices, []);
			const libvirt = { directory: LIBVIRT, domains: 0 };
			const rest = {
				warnings: [],
				libvirt,
				missing_overlay_dir: null,
				overlays: [],
				dropped: [],
				policy: DEFAULT_POLICY,
			};
			const found = diagnose({ host: "cmp", told: {}, overlaid, debugfs, ...rest });
			const remedy = "root, or CAP_DAC_READ_SEARCH, as the agent's unit has it";
			expect(found.debugfs).toEqual({ errno: "EACCES", remedy });
			expect(found.unreadable).toMatchObject([{ attributes: ["cfg_services"], errno: "EACCES", remedy }]);
			expect(found.unreadable_facts).toEqual(
				["state", "features"].map((name) => ({
					facts: [`migration_${name}`],
					errno: "EACCES",
					source: `kernel/debug/vfio/<id>/migration/${name}`,
					devices: ["0000:6b:00.1"],
					remedy,
				})),
			);
			const text = renderDiagnosis(found, { colour: false });
			expect(text).toMatch(
				/^migration_state +EACCES +kernel\/debug\/vfio\/<id>\/migration\/state +0000:6b:00\.1 +root/m,
			);
			// Nothing is compared by them.
			expect(warningsOf(found)).toBe(warningsOf({ ...found, unreadable_facts: [] }));
			expect(text).not.toContain("State of migrations");
			expect(renderDiagnosis({ ...found, unreadable_facts: [] }, { colour: false })).toContain(
				"State of migrations in debugfs: EACCES",
			);
		});
	});
});

test("devices that were left out are told, and why", async () => {
	const dropped = [{ id: "0000:3b:10.0", reason: "it changed twice while it was read" }];
	const diagnosis = { ...(await diagnosisOf({ classes: [] })), dropped };
	expect(warningsOf(diagnosis)).toBe(1);
	expect(renderDiagnosis(diagnosis, { colour: false })).toBe(
		[
			"cmp-01: no devices, kernel 6.8.0-45-generic",
			"0 domains in /run/libvirt/qemu",
			"",
			"No device that an instance could have.",
			"",
			"LEFT OUT      WHY",
			"0000:3b:10.0  it changed twice while it was read",
			"",
			"1 thing to look at.",
			"",
		].join("\n"),
	);
});

test("what overlays could not add is told, with who has it", async () => {
	const match = { driver: ["hisi*"] };
	const overlay = (file: string, attributes: Overlay["devices"][number]["attributes"]): Overlay => ({
		file,
		source: "notes",
		date: "2026-11",
		devices: [{ match, attributes }],
	});
	const overlays = [overlay("10.yaml", { qp_num: "64", vendor: "8086" }), overlay("20.yaml", { qp_num: "32" })];
	const diagnosis = await diagnosisOf({ classes: ["hisilicon-vf"], overlays });
	expect(
		diagnosis.overlays.map(({ file, devices, attributes, ignored }) => [file, devices, attributes, ignored]),
	).toEqual([
		["10.yaml", 4, ["qp_num"], [{ attribute: "vendor", from: "host", devices: 4 }]],
		["20.yaml", 0, [], [{ attribute: "qp_num", from: "10.yaml", devices: 4 }]],
	]);
	expect(warningsOf(diagnosis)).toBe(2);
});

describe("novacompat doctor", () => {
	const doctor = ({ sysfs, libvirt }: TestHost, ...options: readonly string[]) => {
		const overlays = join(libvirt, "../overlay.d");
		mkdirSync(overlays, { recursive: true });
		const places = ["--sysfs-root", sysfs, "--libvirt-dir", libvirt, "--overlay-dir", overlays];
		return novacompat("doctor", "--host", "cmp-01", ...places, ...options);
	};

	test("exits with 0 when there is nothing to look at, also on a host without devices", () => {
		const host = temporaryHost();
		expect(doctor(host)).toEqual({
			status: 0,
			stdout: `cmp-01: no devices\n0 domains in ${host.libvirt}\n\nNo device that an instance could have.\n\nNothing to look at.\n`,
			stderr: "",
		});
	});

	test("counts the domains, or says that their directory is not there", () => {
		const host = temporaryHost();
		populateDomain(host.libvirt, { uuid: UUID });
		expect(doctor(host)).toMatchObject({
			status: 0,
			stdout: expect.stringContaining(`\n1 domain in ${host.libvirt}\n`),
		});
		rmSync(host.libvirt, { recursive: true });
		expect(doctor(host)).toMatchObject({
			status: 1,
			stdout: expect.stringContaining(
				`\nlibvirt directory ${host.libvirt} is not there: no instance is known to run, and every device looks free\n`,
			),
		});
	});

	test("says that the overlay directory which it was given is not there", () => {
		const host = temporaryHost();
		const nowhere = join(host.libvirt, "../nowhere");
		const options = ["--overlay-dir", nowhere];
		expect(doctor(host, ...options)).toMatchObject({
			status: 1,
			stdout: expect.stringContaining(
				`\noverlay directory ${nowhere} is not there, expected a directory of *.yaml: nothing is added to what the host says\n`,
			),
		});
		const { stdout } = doctor(host, ...options, "--format", "json");
		expect(JSON.parse(stdout)).toMatchObject({ missing_overlay_dir: nowhere, overlays: [] });
		mkdirSync(nowhere);
		expect(doctor(host, ...options).status).toBe(0);
	});

	test("says what the agent would warn of: a directory of definitions that is not there, a device of two instances", () => {
		const host = temporaryHost();
		const nowhere = join(host.libvirt, "../nowhere");
		const definitions = `libvirt directory ${nowhere} is not there: the devices of instances that are shut off look free`;
		const options = ["--libvirt-config-dir", nowhere];
		expect(doctor(host, ...options)).toMatchObject({
			status: 1,
			stdout: expect.stringContaining(`\n${definitions}\n`),
		});
		populatePci(host.sysfs, { address: "0000:3b:10.0", driver: "ixgbevf" });
		const other = "1d778c01-9557-4d25-9de2-46fa7dd38ba8";
		for (const uuid of [UUID, other]) populateDomain(host.libvirt, { uuid, name: uuid, pci: ["0000:3b:10.0"] });
		const { warnings } = JSON.parse(doctor(host, ...options, "--format", "json").stdout);
		expect(warnings).toEqual([
			definitions,
			`device 0000:3b:10.0 is in the status of instances ${UUID} and ${other} in ${host.libvirt}, expected one: it is told to be in use by each`,
		]);
	});

	test("says that no domain is defined where some run: libvirt's container keeps them elsewhere", () => {
		const host = temporaryHost();
		const definitions = join(host.libvirt, "../definitions");
		mkdirSync(definitions);
		const options = ["--libvirt-config-dir", definitions];
		expect(doctor(host, ...options).status).toBe(0);
		populateDomain(host.libvirt, { uuid: UUID });
		expect(doctor(host, ...options)).toMatchObject({
			status: 1,
			stdout: expect.stringContaining(
				`\nno domain is defined in ${definitions}, although some run: the devices of instances that are shut off look free\n`,
			),
		});
		populateDomain(definitions, { uuid: UUID, bare: true });
		expect(doctor(host, ...options).status).toBe(0);
	});

	test("exits with 1 when there is something, and says the same as JSON", () => {
		const host = temporaryHost();
		CLASS_HOSTS["vfio-pci"]?.populate(host.sysfs);
		expect(doctor(host)).toMatchObject({ status: 1, stdout: expect.stringMatching(/\n1 thing to look at\.\n$/) });
		const { status, stdout } = doctor(host, "--format", "json");
		expect(status).toBe(1);
		expect(JSON.parse(stdout)).toMatchObject({
			host: "cmp-01",
			kernel_release: null,
			devices: { pci: 1, mdev: 0, mdev_type: 0, vdpa: 0 },
			outlooks: [{ device_class: "vfio-pci", verdict: "reject", reasons: [{ code: "class.refused" }], free: 1 }],
		});
	});

	test("judges by the policy that it is given", () => {
		const host = temporaryHost();
		CLASS_HOSTS["vfio-pci"]?.populate(host.sysfs);
		const policy = join(host.libvirt, "policy.yaml");
		writeFileSync(policy, "classes: [{ name: ours, match: { driver: vfio-pci }, migration: known, rules: [] }]\n");
		expect(doctor(host, "--policy", policy)).toMatchObject({
			status: 0,
			stdout: expect.stringContaining("accept  ours"),
		});
	});

	/** what is wrong with the host, what is said */
	const PROBLEMS: readonly (readonly [what: string, spoil: (host: TestHost) => void, text: RegExp])[] = [
		["no sysfs", ({ sysfs }) => rmSync(join(sysfs, "bus"), { recursive: true }), /has no bus directory/],
		["a domain that is no XML", ({ libvirt }) => writeFileSync(join(libvirt, "a.xml"), "<"), /is not understood/],
		[
			"an overlay with a mistake",
			({ libvirt }) => writeFiles(join(libvirt, "../overlay.d"), { "x.yaml": "a: 1" }),
			/x\.yaml:1:1: the file has the key "a", expected source, date, devices/,
		],
		[
			"a libvirt directory that is none",
			({ libvirt }) => {
				rmSync(libvirt, { recursive: true });
				writeFileSync(libvirt, "");
			},
			/cannot be listed/,
		],
	];
	test.each(PROBLEMS)("exits with 2 for %s", (_what, spoil, text) => {
		const host = temporaryHost();
		spoil(host);
		expect(doctor(host)).toMatchObject({ status: 2, stderr: "", stdout: expect.stringMatching(text) });
		const { status, stdout } = doctor(host, "--format", "json");
		expect({ status, ...JSON.parse(stdout) }).toEqual({
			status: 2,
			host: "cmp-01",
			problem: expect.stringMatching(text),
		});
	});

	test("of this machine, unmodified", () => {
		const { status, stdout, stderr } = novacompat("doctor", "--format", "json");
		expect([0, 1]).toContain(status);
		expect(stderr).toBe("");
		expect(JSON.parse(stdout)).toMatchObject({ kernel_release: expect.stringMatching(/^\d+\.\d+/) });
	});
});
