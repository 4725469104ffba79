import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost } from "../../src/agent/tools.ts";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { writePrograms } from "../support/programs.ts";
import {
	populateMdev,
	populateMdevType,
	populatePci,
	populateVdpa,
	temporaryHost,
	writeFiles,
} from "../support/sysfs.ts";

const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
const MDEV = "b1a3c5d2-0f47-4c8e-9a61-2d7e4f90b301";
/** In all that must not get out; in the places of MAC addresses there is a real one. */
const CANARY = "canary-7c1f";
const MAC = "52:54:00:7c:1f:01";

/** Where hosts have such things, and what a driver would have to say for the agent to read a file. */
const FILES = {
	...Object.fromEntries(
		["serial_number", "serial", "Serial", "board_serial", "vpd", "uevent", "rom", "config"].map((name) => [
			name,
			CANARY,
		]),
	),
	...Object.fromEntries(
		["mac_addr", "mac_address", "macaddr", "net/eth0/address", "sriov/0/mac"].map((name) => [name, MAC]),
	),
	dynamic_resources: "serial_number,mac_addr,vpd,uevent,config,net/eth0/address,../serial",
	compatible_serial_number: CANARY,
	mac_addr_compatible: MAC,
	"migration/serial_number": CANARY,
	"migration/self/mac_addr": MAC,
	software_version: "1.2.0",
};
const TOOLS = {
	devlink: { dev: {}, port: {}, info: {}, serial_number: CANARY, "board.serial_number": CANARY },
	config: { vdpa0: { mac: MAC, mtu: 1500, negotiated_features: ["MTU"] } },
};
const DOMAIN = `<domstatus state='running'><domain type='kvm' id='1'>
  <name>${CANARY}</name><title>${CANARY}</title><description>${CANARY}</description><uuid>${UUID}</uuid>
  <metadata><nova:instance xmlns:nova='n'><nova:name>${CANARY}</nova:name><nova:owner>${CANARY}</nova:owner></nova:instance></metadata>
  <sysinfo type='smbios'><system><entry name='serial'>${CANARY}</entry></system></sysinfo>
  <devices>
    <disk type='file'><serial>${CANARY}</serial><source file='/var/lib/${CANARY}'/></disk>
    <interface type='hostdev'><mac address='${MAC}'/><source><address type='pci' domain='0' bus='0x3b' slot='0x10' function='0x2'/></source></interface>
    <interface type='bridge'><mac address='${MAC}'/><source bridge='${CANARY}'/><target dev='${CANARY}'/></interface>
    <hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='${MDEV}'/></source><alias name='hostdev0'/></hostdev>
  </devices>
</domain></domstatus>`;

test("SEC-35: no serial number, MAC address or name of a guest is in a snapshot, whoever says that it matters", async () => {
	const { sysfs, libvirt } = temporaryHost();
	const nic = populatePci(sysfs, { address: "0000:3b:10.0", driver: "mlx5_vfio_pci", files: FILES });
	populatePci(sysfs, { address: "0000:3b:10.2", driver: "mlx5_core", files: FILES });
	populateVdpa(sysfs, nic, "vdpa0", "vhost-vdpa-0");
	writeFiles(join(nic, "vdpa0"), FILES);
	const gpu = populatePci(sysfs, { address: "0000:41:00.0", driver: "nvidia", files: FILES });
	const type = populateMdevType(sysfs, gpu, { type: "nvidia-558", files: FILES });
	populateMdev(sysfs, type, { uuid: MDEV, files: FILES });
	mkdirSync(join(sysfs, "class/dmi/id"), { recursive: true });
	writeFiles(join(sysfs, "class/dmi/id"), { product_serial: CANARY, board_serial: CANARY });
	writeFileSync(join(libvirt, `${CANARY}.xml`), DOMAIN);
	const told = await askHost(
		sysfs,
		writePrograms({
			devlink: `echo '${JSON.stringify(TOOLS.devlink)}'`,
			vdpa: `case "$3" in config) echo '${JSON.stringify({ config: TOOLS.config })}';; *) echo '{"dev":{"vdpa0":{"mgmtdev":"m"}},"mgmtdev":{"m":{"serial":"${CANARY}"}}}';; esac`,
			"nvidia-smi": `echo '00000000:41:00.0, Enabled, Disabled'`,
		}),
	);
	const snapshot = Snapshot.parse(takeSnapshot({ host: "cmp-01", sysfsRoot: sysfs, libvirtDir: libvirt, told }));
	const text = JSON.stringify(snapshot);
	expect(text).not.toContain(CANARY);
	expect(text).not.toContain(MAC);
	// All of it was looked at.
	const found = snapshot.devices.map(({ id, instance, attributes }) => [id, instance, attributes["software_version"]]);
	expect(found).toEqual([
		["0000:3b:10.0", undefined, "1.2.0"],
		["0000:3b:10.2", UUID, "1.2.0"],
		["0000:41:00.0", undefined, "1.2.0"],
		[MDEV, UUID, "1.2.0"],
		["0000:41:00.0/nvidia-558", undefined, "1.2.0"],
		["vdpa0", undefined, "1.2.0"],
	]);
	expect(snapshot.devices.at(-1)?.attributes["negotiated_features"]).toBe("MTU");
	expect(snapshot.instances).toEqual([UUID]);
});
