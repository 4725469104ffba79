import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { onTestFinished } from "vitest";
import type { Host } from "../../src/agent/collectors/collector.ts";
import { openProc, openSysfs } from "../../src/agent/sysfs.ts";
import type { Told } from "../../src/agent/tools.ts";

/** A compute node that is a temporary directory: give `sysfs` and `libvirt` to `takeSnapshot`. */
export interface TestHost {
	readonly sysfs: string;
	readonly libvirt: string;
}

/** An empty host that is removed when the running test has finished. */
export function temporaryHost(): TestHost {
	const base = mkdtempSync(join(tmpdir(), "novacompat-host-"));
	onTestFinished(() => rmSync(base, { recursive: true, force: true, maxRetries: 3 }));
	const host = { sysfs: join(base, "sys"), libvirt: join(base, "libvirt") };
	for (const path of [join(host.sysfs, "bus"), join(host.sysfs, "devices"), host.libvirt]) {
		mkdirSync(path, { recursive: true });
	}
	return host;
}

/** For root, who may read everything: what the agent sees without its capability. */
export function asNobody(body: () => void): void {
	process.seteuid?.(65_534);
	try {
		body();
	} finally {
		process.seteuid?.(0);
	}
}

/** The host as collectors get it. */
export function hostAt(sysfs: string, told: Told = {}): Host {
	return { sysfs: openSysfs(sysfs), proc: openProc(sysfs), told };
}

export type Files = Readonly<Record<string, string>>;

export interface PciFunction {
	readonly address: string;
	/** Directories between `devices/` and the function, for example `pci0000:3a/0000:3a:00.0`. */
	readonly below?: string;
	readonly vendor?: string;
	readonly device?: string;
	readonly subsystem_vendor?: string;
	readonly subsystem_device?: string;
	readonly class?: string;
	readonly revision?: string;
	readonly driver?: string;
	/** Address of the PF, which must be populated below the same directories. */
	readonly physfn?: string;
	/** Attribute files by path below the function's directory. */
	readonly files?: Files;
}

/** A function as the kernel lays it out: a directory in `devices/`, links in `bus/pci/devices` and in the driver. */
export function populatePci(root: string, pci: PciFunction): string {
	const { address, below = `pci${address.slice(0, 7)}`, driver, physfn } = pci;
	const node = join(root, "devices", below, address);
	writeFiles(node, {
		vendor: `0x${pci.vendor ?? "8086"}`,
		device: `0x${pci.device ?? "1515"}`,
		subsystem_vendor: `0x${pci.subsystem_vendor ?? "8086"}`,
		subsystem_device: `0x${pci.subsystem_device ?? "0000"}`,
		class: `0x${pci.class ?? "020000"}`,
		revision: `0x${pci.revision ?? "01"}`,
		...pci.files,
	});
	link(join(root, "bus/pci/devices", address), node);
	if (driver !== undefined) {
		link(join(root, "bus/pci/drivers", driver, address), node);
		link(join(node, "driver"), join(root, "bus/pci/drivers", driver));
	}
	if (physfn !== undefined) link(join(node, "physfn"), join(dirname(node), physfn));
	return node;
}

/** A file `resource` as the kernel prints it, for BARs of these bytes; 0 is none. */
export function resourceFile(...bytes: readonly number[]): string {
	const place = 0x38_0000_0000_00;
	const hex = (value: number) => `0x${value.toString(16).padStart(16, "0")}`;
	const line = (size: number) => (size === 0 ? [0, 0, 0] : [place, place + size - 1, 0x14_220c]).map(hex).join(" ");
	return [...bytes, ...Array<number>(13).fill(0)].slice(0, 13).map(line).join("\n");
}

/** The module of a driver that has devices already; without `version` it is one that sets none. */
export function populateModule(
	root: string,
	driver: string,
	{ module, version }: { module: string; version?: string },
): void {
	const node = join(root, "module", module);
	writeFiles(node, { refcnt: "1", ...(version === undefined ? {} : { version }) });
	link(join(root, "bus/pci/drivers", driver, "module"), node);
}

export interface MdevType {
	readonly type: string;
	readonly available_instances?: string;
	readonly device_api?: string;
	readonly files?: Files;
}

/** A type below `parent`, the directory that `populatePci` returned; the parent joins the class `mdev_bus`. */
export function populateMdevType(root: string, parent: string, mdevType: MdevType): string {
	const { type, available_instances = "1", device_api = "vfio-pci", files = {} } = mdevType;
	const node = join(parent, "mdev_supported_types", type);
	writeFiles(node, { available_instances, device_api, ...files });
	const member = join(root, "class/mdev_bus", parent.slice(parent.lastIndexOf("/") + 1));
	if (!existsSync(member)) link(member, parent);
	return node;
}

/** An mdev of a type, the directory that `populateMdevType` returned. */
export function populateMdev(
	root: string,
	type: string,
	mdev: { readonly uuid: string; readonly files?: Files },
): string {
	const node = join(dirname(dirname(type)), mdev.uuid);
	writeFiles(node, mdev.files ?? {});
	link(join(node, "mdev_type"), type);
	link(join(root, "bus/mdev/devices", mdev.uuid), node);
	return node;
}

export interface Domain {
	readonly name?: string;
	readonly uuid: string;
	readonly pci?: readonly string[];
	readonly mdevs?: readonly string[];
	/** PCI addresses attached as `<interface type='hostdev'>`. */
	readonly ports?: readonly string[];
	/** Without `<domstatus>` around it, as `virsh dumpxml` prints it. */
	readonly bare?: boolean;
}

/** The status file of a live domain, cut down to what tells which devices it has. */
export function populateDomain(libvirtDir: string, domain: Domain): string {
	const { name = "instance-00000001", uuid, pci = [], mdevs = [], ports = [], bare = false } = domain;
	const devices = [
		...ports.map((port) => ["interface type='hostdev' managed='yes'", pciAddress(port, " type='pci'")]),
		...pci.map((id) => ["hostdev mode='subsystem' type='pci' managed='no'", pciAddress(id)]),
		...mdevs.map((id) => [
			"hostdev mode='subsystem' type='mdev' managed='no' model='vfio-pci'",
			`<address uuid='${id}'/>`,
		]),
	].flatMap(([element = "", source], index) => [
		`<${element}>`,
		`  <source>${source}</source>`,
		`  <alias name='hostdev${index}'/>`,
		`  ${pciAddress(guestAddress(index), " type='pci'")}`,
		`</${element.split(" ", 1)}>`,
	]);
	const lines = [
		"<domain type='kvm' id='1'>",
		`  <name>${name}</name>`,
		`  <uuid>${uuid}</uuid>`,
		"  <devices>",
		...devices.map((line) => `    ${line}`),
		"  </devices>",
		"</domain>",
	];
	const status = ["<domstatus state='running' reason='booted' pid='4242'>", ...lines.map((line) => `  ${line}`)];
	const path = join(libvirtDir, `${name}.xml`);
	writeFiles(libvirtDir, { [`${name}.xml`]: (bare ? lines : [...status, "</domstatus>"]).join("\n") });
	return path;
}

/** Where the guest of `populateDomain` sees the device with this number: q35 has a root port for each. */
export function guestAddress(index: number): string {
	return `0000:${(index + 5).toString(16).padStart(2, "0")}:00.0`;
}

function pciAddress(address: string, type = ""): string {
	const [domain, bus, slot, fn] = address.split(/[:.]/);
	return `<address${type} domain='0x${domain}' bus='0x${bus}' slot='0x${slot}' function='0x${fn}'/>`;
}

/** Writes files by path below `directory`, each with the trailing newline that sysfs gives. */
export function writeFiles(directory: string, files: Files): void {
	mkdirSync(directory, { recursive: true });
	for (const [name, value] of Object.entries(files)) {
		mkdirSync(dirname(join(directory, name)), { recursive: true });
		writeFileSync(join(directory, name), `${value}\n`);
	}
}

/** A relative link, so that the tree can be moved. */
export function link(from: string, to: string): void {
	mkdirSync(dirname(from), { recursive: true });
	symlinkSync(relative(dirname(from), to), from);
}

/** A vDPA device of a function, the directory that `populatePci` returned, with the character device QEMU opens. */
export function populateVdpa(root: string, parent: string, name: string, character?: string, driver?: string): string {
	const node = join(parent, name);
	mkdirSync(character === undefined ? node : join(node, character), { recursive: true });
	link(join(root, "bus/vdpa/devices", name), node);
	if (driver !== undefined) {
		link(join(root, "bus/vdpa/drivers", driver, name), node);
		link(join(node, "driver"), join(root, "bus/vdpa/drivers", driver));
	}
	return node;
}

/** A network interface of a function. */
export function populateNetdev(root: string, parent: string, name: string): void {
	const node = join(parent, "net", name);
	mkdirSync(node, { recursive: true });
	link(join(root, "class/net", name), node);
}
