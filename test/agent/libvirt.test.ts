import { execFileSync } from "node:child_process";
import { chmodSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type DomainDevice, LibvirtError, readDomains } from "../../src/agent/libvirt.ts";
import { leastCpu } from "../support/least-cpu.ts";
import { asNobody, guestAddress, populateDomain, temporaryHost } from "../support/sysfs.ts";

const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";
const guest = (index: number) => ({ alias: `hostdev${index}`, guest_address: guestAddress(index) });
const MDEV = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

describe("devices of live domains", () => {
	test.each([true, false])("hostdevs and ports, bare domain: %s", (bare) => {
		const { libvirt } = temporaryHost();
		populateDomain(libvirt, { uuid: UUID, pci: ["0000:3b:10.0"], mdevs: [MDEV], ports: ["0000:83:06.1"], bare });
		expect(Object.fromEntries(readDomains(libvirt))).toEqual({
			[UUID]: [
				{ kind: "pci", source: "0000:3b:10.0", port: false, guest: guest(1) },
				{ kind: "mdev", source: MDEV, port: false, guest: guest(2) },
				{ kind: "pci", source: "0000:83:06.1", port: true, guest: guest(0) },
			],
		});
	});

	test("nothing runs where there is no directory, or no *.xml in it", () => {
		const { libvirt } = temporaryHost();
		expect(readDomains(join(libvirt, "absent")).size).toBe(0);
		writeFileSync(join(libvirt, "instance-00000001.pid"), "not xml");
		expect(readDomains(libvirt).size).toBe(0);
	});

	/** What stands between `<domain>` and `</domain>`, and what it takes of the host. */
	const rows: readonly [what: string, xml: string, sources: readonly string[]][] = [
		[
			"other hostdevs",
			"<devices><hostdev type='usb'><source><address bus='1' device='2'/></source></hostdev></devices>",
			[],
		],
		["other interfaces", "<devices><interface type='bridge'><source bridge='br0'/></interface></devices>", []],
		[
			"vdpa",
			"<devices><interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface></devices>",
			["/dev/vhost-vdpa-0"],
		],
		[
			"macvtap that has its interface for itself",
			"<devices><interface type='direct'><source dev='ens1f0v2' mode='passthrough'/></interface></devices>",
			["ens1f0v2"],
		],
		[
			"macvtap on an interface that others use too",
			"<devices><interface type='direct'><source dev='ens1f0' mode='bridge'/></interface></devices>",
			[],
		],
		[
			"decimal and absent domain",
			"<devices><hostdev type='pci'><source><address bus='59' slot='16' function='0'/></source></hostdev></devices>",
			["0000:3b:10.0"],
		],
		[
			"hostdev elements that are no devices",
			"<metadata><devices><hostdev type='pci'/></devices></metadata><devices/>",
			[],
		],
		[
			"comments and namespaces",
			"<!-- <hostdev type='pci'/> --><qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'/><devices/>",
			[],
		],
		[
			"a name with the character that stands for what could not be decoded",
			`<metadata title='caf\ufffd'><name>caf\ufffd</name></metadata><devices><hostdev type='mdev'><source><address uuid='${MDEV}'/></source></hostdev></devices>`,
			[MDEV],
		],
		[
			"a VF from the pool of a network, and a macvtap on one",
			"<devices><interface type='network'><source network='vfs'/><actual type='hostdev'><source><address type='pci' domain='0x0000' bus='0x3b' slot='0x10' function='0x2'/></source></actual></interface>" +
				"<interface type='network'><source network='tap'/><actual type='direct'><source dev='ens1f0v2' mode='passthrough'/></actual></interface></devices>",
			["0000:3b:10.2", "ens1f0v2"],
		],
		[
			"capitals",
			`<devices><hostdev type='mdev'><source><address uuid='${MDEV.toUpperCase()}'/></source></hostdev></devices>`,
			[MDEV],
		],
	];
	test.each(rows)("%s", (_what, xml, sources) => {
		const { libvirt } = temporaryHost();
		writeFileSync(join(libvirt, "a.xml"), `<domain type='kvm'><uuid>${UUID}</uuid>${xml}</domain>`);
		expect(
			readDomains(libvirt)
				.get(UUID)
				?.map(({ source }) => source),
		).toEqual(sources);
	});

	test("a text that speaks of a document type is none", () => {
		const { libvirt } = temporaryHost();
		populateDomain(libvirt, { uuid: UUID, pci: ["0000:3b:10.0"] });
		const html = "<metadata><page><!-- <!DOCTYPE html> --><![CDATA[<!DOCTYPE html><p>]]></page></metadata>";
		writeFileSync(join(libvirt, "page.xml"), `<domain><uuid>${MDEV}</uuid>${html}</domain>`);
		expect([...readDomains(libvirt).keys()].sort()).toEqual([UUID, MDEV].sort());
	});
});

/** `<source>` of an NVMe drive that QEMU drives itself. */
const NVME =
	"<source type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></source>";

describe("disks that are devices of the host", () => {
	const nvme = { kind: "pci", source: "0000:01:00.0", port: false } as const;
	const rows: readonly [what: string, xml: string, devices: readonly Omit<DomainDevice, "guest">[]][] = [
		["an NVMe drive", `<disk type='nvme'>${NVME}</disk>`, [nvme]],
		[
			"a vDPA device",
			"<disk type='vhostvdpa'><source dev='/dev/vhost-vdpa-0'/></disk>",
			[{ kind: "vdpa", source: "/dev/vhost-vdpa-0", port: false }],
		],
		[
			"an NVMe drive below a snapshot of a snapshot",
			`<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'/><backingStore type='nvme'>${NVME}</backingStore></backingStore></disk>`,
			[nvme],
		],
		[
			"an NVMe drive that a disk is being copied to",
			`<disk type='file'><source file='/a'/><mirror type='nvme' job='copy'>${NVME}</mirror></disk>`,
			[nvme],
		],
	];
	test.each(rows)("%s", (_what, xml, devices) => {
		expect(devicesIn(xml)).toEqual(devices.map((device) => ({ ...device, guest: {} })));
	});

	test("have a name and a place in the guest", () => {
		const address = "<address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0'/>";
		const disk = `<disk type='nvme'>${NVME}<alias name='virtio-disk4'/>${address}</disk>`;
		expect(devicesIn(disk)).toMatchObject([{ guest: { alias: "virtio-disk4", guest_address: "0000:05:00.0" } }]);
	});

	test("others are none", () => {
		const disks = [
			"<disk type='block'><source dev='/dev/sdb'/><backingStore/></disk>",
			"<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>",
			"<disk type='network'><source protocol='rbd' name='pool/image'/></disk>",
		];
		expect(devicesIn(disks.join(""))).toEqual([]);
	});
});

describe("an interface that is a USB device", () => {
	const USB = [
		"<source><address type='usb' bus='1' device='2'/></source>",
		"<source><vendor id='0x1234'/><product id='0xbeef'/><address type='usb' bus='1' device='2'/></source>",
		"<source><vendor id='0x1234'/><product id='0xbeef'/></source>",
	];
	test.each(USB)("is none of a snapshot: %s", (source) => {
		const pci =
			"<interface type='hostdev'><source><address type='pci' domain='0' bus='0x3b' slot='0x10' function='0x2'/></source></interface>";
		expect(devicesIn(`<interface type='hostdev'>${source}</interface>${pci}`)).toMatchObject([
			{ source: "0000:3b:10.2" },
		]);
	});
});

describe("a hostdev that is half of a team", () => {
	const hostdev = (teaming: string) =>
		`<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x3b' slot='0x10' function='0x2'/></source>${teaming}</hostdev>`;

	test("is unplugged by QEMU itself, and so a port", () => {
		const transient = hostdev("<teaming type='transient' persistent='ua-backup0'/>");
		expect(devicesIn(transient)).toMatchObject([{ kind: "pci", source: "0000:3b:10.2", port: true }]);
	});

	test("stays if it is the other half, or none", () => {
		for (const teaming of ["<teaming type='persistent'/>", ""])
			expect(devicesIn(hostdev(teaming))).toMatchObject([{ source: "0000:3b:10.2", port: false }]);
	});
});

test("an NVMe drive that has the data of an image is taken, too", () => {
	const nvme =
		"<source type='pci' managed='yes' namespace='1'><address domain='0x0000' bus='0x3b' slot='0x10' function='0x2'/></source>";
	const image = `<source file='/a'><dataStore type='nvme'><format type='raw'/>${nvme}</dataStore></source>`;
	const below = `<backingStore type='file'><format type='qcow2'/>${image}</backingStore>`;
	for (const parts of [image, `<source file='/b'/>${below}`])
		expect(devicesIn(`<disk type='file' device='disk'>${parts}</disk>`)).toMatchObject([
			{ source: "0000:3b:10.2", port: false },
		]);
});

describe("what libvirt knows of QEMU", () => {
	const flags = Array.from({ length: 300 }, (_, index) => `    <flag name='virtio-blk-pci.x${index}_y'/>\n`).join("");
	const status = (end: string) =>
		`<domstatus state='running'>\n  <qemuCaps>\n${flags}  </qemuCaps>\n  <domain>\n<uuid>${UUID}</uuid>\n<devices>${end}`;

	test("is passed over, and lines keep their numbers", () => {
		const hostdev = `<hostdev type='mdev'><source><address uuid='${MDEV}'/></source></hostdev>`;
		expect(devicesOf(status(`${hostdev}</devices></domain></domstatus>`))).toMatchObject([{ source: MDEV }]);
		expect(() => devicesOf(status("</domain>"))).toThrow(/line 306, column \d+: no well-formed XML$/);
	});
});

describe("the processor and the controllers of a guest", () => {
	const lines = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i));
	/** A root port as libvirt prints it; Nova has libvirt make up to 28 of them for a guest with machine type q35. */
	const rootPort = (index: number) => `      <controller type='pci' index='${index}' model='pcie-root-port'>
        <model name='pcie-root-port'/>
        <target chassis='${index}' port='0x${index.toString(16)}'/>
        <alias name='pci.${index}'/>
        <address type='pci' domain='0x0000' bus='0x00' slot='0x02' function='0x0'/>
      </controller>`;
	const status = (end: string) =>
		[
			"<domstatus state='running'>",
			"  <vcpus>",
			...lines(16, (index) => `    <vcpu id='${index}' pid='${1000 + index}'/>`),
			"  </vcpus>",
			"  <domain>",
			`    <uuid>${UUID}</uuid>`,
			"    <cpu mode='custom' match='exact'>",
			...lines(40, (index) => `      <feature policy='require' name='x${index}'/>`),
			"    </cpu>",
			"    <devices>",
			...lines(28, rootPort),
			"      <hostdev mode='subsystem' type='mdev' model='vfio-pci'>",
			"        <source>",
			`          <address uuid='${MDEV}'/>`,
			"        </source>",
			"      </hostdev>",
			"    </devices>",
			`  </${end}>`,
			"</domstatus>",
		].join("\n");

	test("lines keep their numbers", () => {
		expect(devicesOf(status("domain"))).toMatchObject([{ kind: "mdev", source: MDEV }]);
		expect(() => devicesOf(status("x"))).toThrow(/line 238, column \d+: no well-formed XML$/);
	});

	test("are passed over: what libvirt does not print is not, and takes more than twice as much of a processor", () => {
		const { libvirt } = temporaryHost();
		const of = (text: string) => {
			for (let index = 0; index < 8; index++) writeFileSync(join(libvirt, `${index}.xml`), text);
			return leastCpu(() => readDomains(libvirt), 0);
		};
		expect(of(status("domain"))).toBeLessThan(0.5 * of(status("domain").replaceAll("'", '"')));
	});
});

describe("a hostdev that the guest does not see", () => {
	const SOURCE = "<source><address domain='0' bus='0x3b' slot='0x10' function='0x2'/></source>";

	test("is in use, and need not continue: QEMU has none of it", () => {
		const hidden = `<hostdev mode='subsystem' type='pci'>${SOURCE}<address type='unassigned'/></hostdev>`;
		expect(devicesIn(hidden)).toMatchObject([{ kind: "pci", source: "0000:3b:10.2", port: true }]);
	});
});

function devicesIn(xml: string): readonly DomainDevice[] | undefined {
	return devicesOf(`<domain><uuid>${UUID}</uuid><devices>${xml}</devices></domain>`);
}

function devicesOf(domain: string): readonly DomainDevice[] | undefined {
	const { libvirt } = temporaryHost();
	writeFileSync(join(libvirt, "a.xml"), domain);
	return readDomains(libvirt).get(UUID);
}

describe("what the guest has of a device", () => {
	const PCI = "<address type='pci' domain='0x0000' bus='0x05' slot='0x00' function='0x0' multifunction='on'/>";
	/** what stands beside `<source>`, alias and address */
	const rows: readonly [what: string, xml: string, found: object][] = [
		["alias and PCI address", `<alias name='hostdev0'/>${PCI}`, { alias: "hostdev0", guest_address: "0000:05:00.0" }],
		["an alias of the user's", "<alias name='ua-gpu_1'/>", { alias: "ua-gpu_1" }],
		["an alias that libvirt would not accept", "<alias name='../x'/>", {}],
		[
			"PCI address of s390, with its zPCI numbers",
			`${PCI.replace("/>", ">")}<zpci uid='0x0001' fid='0x00000000'/></address>`,
			{ guest_address: "0000:05:00.0" },
		],
		[
			"channel subsystem",
			"<address type='ccw' cssid='0xfe' ssid='0x0' devno='0x0001'/>",
			{ guest_address: "fe.0.0001" },
		],
		["none, as a vfio-ap device has", "", {}],
		["no bus of a guest", "<address type='usb' bus='0' port='1'/>", {}],
		["not understood: left out, the device counts all the same", "<address type='pci' bus='x'/><alias/>", {}],
	];
	test.each(rows)("%s", (_what, xml, found) => {
		const { libvirt } = temporaryHost();
		const hostdev = `<hostdev type='mdev'><source><address uuid='${MDEV}'/></source>${xml}</hostdev>`;
		writeFileSync(join(libvirt, "a.xml"), `<domain><uuid>${UUID}</uuid><devices>${hostdev}</devices></domain>`);
		expect(readDomains(libvirt).get(UUID)).toEqual([{ kind: "mdev", source: MDEV, port: false, guest: found }]);
	});
});

describe("a file that is not understood is a fault that names it", () => {
	const uuid = `<uuid>${UUID}</uuid>`;
	const rows: readonly [what: string, content: string, message: string][] = [
		["empty", "", "not understood"],
		["no XML", "hello", "not understood"],
		["cut off", `<domain>${uuid}<devices>`, "not understood"],
		["another document", "<network/>", "expected <domain>"],
		["status without domain", "<domstatus/>", "expected <domain>"],
		["no uuid", "<domain><devices/></domain>", "<uuid>"],
		["document type", `<!DOCTYPE domain [<!ENTITY a "b">]><domain>${uuid}</domain>`, "document type"],
		["entity", `<!DOCTYPE domain [<!ENTITY a "b">]><domain>${uuid}&a;</domain>`, "no well-formed XML"],
		["no source", `<domain>${uuid}<devices><hostdev type='pci'/></devices></domain>`, "no source address"],
		[
			"bad address",
			`<domain>${uuid}<devices><hostdev type='pci'><source><address domain='x'/></source></hostdev></devices></domain>`,
			"needs domain, bus, slot and function",
		],
		[
			"bad mdev",
			`<domain>${uuid}<devices><hostdev type='mdev'><source><address uuid='1'/></source></hostdev></devices></domain>`,
			"has no uuid",
		],
		[
			"no device",
			`<domain>${uuid}<devices><interface type='vdpa'><source/></interface></devices></domain>`,
			"no source dev",
		],
		[
			"no address of an interface",
			`<domain>${uuid}<devices><interface type='hostdev'><source/></interface></devices></domain>`,
			"no source address",
		],
		[
			"bad address of an interface",
			`<domain>${uuid}<devices><interface type='hostdev'><source><address bus='1'/></source></interface></devices></domain>`,
			"needs domain, bus, slot and function",
		],
		["not UTF-8", "\u00ff", "not understood"],
		["too large", `<domain>${uuid}${" ".repeat(1024 * 1024)}</domain>`, "EFBIG"],
	];
	test.each(rows)("%s", (_what, content, message) => {
		const { libvirt } = temporaryHost();
		const path = join(libvirt, "instance-00000007.xml");
		writeFileSync(path, content, "latin1");
		expect(() => readDomains(libvirt)).toThrow(LibvirtError);
		expect(() => readDomains(libvirt)).toThrow(message);
		expect(() => readDomains(libvirt)).toThrow(path);
	});

	/** Each with the password of a console, as libvirt has it there. */
	const DAMAGED = [
		`<domain>${uuid}\n<graphics passwd=s3cret></domain>`,
		`<domain>${uuid}\n<graphics passwd="s3cret" passwd="s3cret"/></domain>`,
		`<domain>${uuid}\n<graphics pass&s3cret;/></domain>`,
		`<domain>${uuid}\n<s3cret></domain>`,
		`<domain>${uuid}\n<s3cret`,
	];
	test.each(DAMAGED)("%j: where, and nothing of what stands there", (content) => {
		const { libvirt } = temporaryHost();
		writeFileSync(join(libvirt, "instance-00000007.xml"), content);
		const refusal = attempt(() => readDomains(libvirt));
		expect(refusal).toMatch(/instance-00000007\.xml is not understood: line [12], column \d+: no well-formed XML$/);
	});

	test("a FIFO does not hold up, a link is not followed", () => {
		const { libvirt } = temporaryHost();
		execFileSync("mkfifo", [join(libvirt, "fifo.xml")]);
		expect(() => readDomains(libvirt)).toThrow("fifo.xml cannot be read: EINVAL");
		const other = temporaryHost().libvirt;
		symlinkSync("/etc/hostname", join(other, "link.xml"));
		expect(() => readDomains(other)).toThrow("link.xml cannot be read: ELOOP");
	});

	test.skipIf(process.getuid?.() !== 0)("who may not read it is told the right that he needs", () => {
		const { libvirt } = temporaryHost();
		const file = populateDomain(libvirt, { uuid: UUID });
		chmodSync(join(libvirt, ".."), 0o755);
		chmodSync(file, 0o600);
		const rights = "EACCES; what helps: root, or CAP_DAC_READ_SEARCH, as the agent's unit has it";
		asNobody(() => expect(() => readDomains(libvirt)).toThrow(`domain file ${file} cannot be read: ${rights}`));
		chmodSync(libvirt, 0o700);
		asNobody(() =>
			expect(() => readDomains(libvirt)).toThrow(`libvirt directory ${libvirt} cannot be listed: ${rights}`),
		);
	});

	test("a directory that is none", () => {
		const { libvirt } = temporaryHost();
		const file = populateDomain(libvirt, { uuid: UUID });
		expect(() => readDomains(file)).toThrow(`libvirt directory ${file} cannot be listed: ENOTDIR`);
	});
});

/** The message of what is thrown. */
function attempt(work: () => unknown): string {
	try {
		return String(work());
	} catch (error) {
		return error instanceof LibvirtError ? error.message : String(error);
	}
}
