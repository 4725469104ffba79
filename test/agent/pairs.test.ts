import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { decide } from "../../src/compat/decide.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { resourceFile, temporaryHost, writeFiles } from "../support/sysfs.ts";
import { CLASS_HOSTS } from "./hosts.ts";

interface Side {
	/** What is changed in the tree of the class's host. */
	readonly change?: (root: string) => void;
	/** What `devlink dev info` prints. */
	readonly info?: string;
	readonly kernel?: string;
}

function devicesOf(name: string, { change, info, kernel = "6.8.0-45-generic" }: Side) {
	const { sysfs, libvirt } = temporaryHost();
	CLASS_HOSTS[name]?.populate(sysfs);
	change?.(sysfs);
	const told = { kernel_release: kernel, answers: info === undefined ? {} : { "devlink dev info": { text: info } } };
	return takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told }).devices;
}

/** What the built-in policy says of a device that goes from one host of its class to another, where it is to be `candidate`. */
function decisionOf(name: string, id: string, candidate: string, source: Side, target: Side) {
	const devices = devicesOf(name, source).filter((device) => device.id === id);
	const candidates = devicesOf(name, target).filter((device) => device.id === candidate);
	const { verdict, reasons } = decide({
		source_host: "cmp-01",
		target_host: "cmp-02",
		devices,
		candidates,
		policy: DEFAULT_POLICY,
	});
	return { verdict, reasons: reasons.map(({ code, severity }) => (severity === "error" ? code : `warning ${code}`)) };
}

const write = (path: string, text: string): Side => ({ change: (root) => writeFiles(root, { [path]: text }) });

/** vfio's directory of a device whose driver cannot migrate it is empty (drivers/vfio/debugfs.c). */
const unable = (id: string): Side => ({
	change: (root) => {
		rmSync(join(root, "kernel/debug/vfio", id), { recursive: true, force: true });
		mkdirSync(join(root, "kernel/debug/vfio", id), { recursive: true });
	},
});

/** A ConnectX as devlink tells of it. */
function connectX(psid: string, version: string, pf: string): Side {
	const versions = { fixed: { "fw.psid": psid }, running: { "fw.version": version } };
	const info = JSON.stringify({ info: { "pci/0000:06:00.0": { driver: "mlx5_core", versions } } });
	return { ...write("devices/pci0000:06/0000:06:00.0/device", pf), info };
}

const UACCE = "devices/pci0000:31/0000:31:00.0/uacce/hisi_zip-2/api";
const VGPU = "b1a3c5d2-0f47-4c8e-9a61-2d7e4f90b301";
const CONNECTX_6_DX = connectX("MT_0000000359", "22.41.1000", "0x101d");

/** class, device, candidate, what is special about each host, verdict, reasons */
type Row = readonly [
	what: string,
	name: string,
	id: string,
	candidate: string,
	source: Side,
	target: Side,
	verdict: string,
	reasons: readonly string[],
];

const ROWS: readonly Row[] = [
	[
		"virtio: a device without the commands for it (drivers/vfio/pci/virtio/Kconfig), on both hosts",
		"virtio-vf",
		"0000:c1:00.1",
		"0000:c1:00.1",
		unable("0000:c1:00.1"),
		unable("0000:c1:00.1"),
		"reject",
		["attribute.refused", "attribute.refused"],
	],
	[
		"mlx5: a VF that is not migratable, which nobody tells while the eswitch is in legacy mode",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.4",
		{},
		unable("0000:06:00.4"),
		"reject",
		["attribute.refused"],
	],
	[
		"HiSilicon: the first generation (hisi_acc_vfio_pci_probe: pf_qm->ver)",
		"hisilicon-vf",
		"0000:31:00.1",
		"0000:31:00.1",
		write(UACCE, "hisi_qm_v2"),
		write(UACCE, "hisi_qm_v2"),
		"reject",
		["attribute.refused", "attribute.refused"],
	],
	[
		"HiSilicon: from the second generation to the first",
		"hisilicon-vf",
		"0000:31:00.1",
		"0000:31:00.1",
		{},
		write(UACCE, "hisi_qm_v2"),
		"reject",
		["attribute.refused"],
	],
	[
		"NVIDIA: another version of the same branch, which RHEL 10 does not take",
		"nvidia-vgpu-mdev",
		VGPU,
		"0000:41:00.0/nvidia-232",
		write(`devices/pci0000:40/0000:40:01.1/0000:41:00.0/${VGPU}/nvidia/vgpu_params`, " "),
		write("module/nvidia/version", "550.127.06"),
		"accept",
		["warning attribute.differs"],
	],
	[
		"mlx5: another firmware of the same major version",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		CONNECTX_6_DX,
		connectX("MT_0000000359", "22.43.2026", "0x101d"),
		"accept",
		["warning attribute.differs"],
	],
	[
		"mlx5: a ConnectX-7, whose VFs have the same ids",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		CONNECTX_6_DX,
		connectX("MT_0000000834", "28.41.1000", "0x1021"),
		"reject",
		["attribute.differs", "attribute.differs", "warning version.major_mismatch"],
	],
	[
		"mlx5: another board with the same chip",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		CONNECTX_6_DX,
		connectX("DEL0000000027", "22.41.1000", "0x101d"),
		"reject",
		["attribute.differs"],
	],
	[
		"Xe: another stepping (xe_sriov_packet_process_descriptor)",
		"xe-vf",
		"0000:e3:00.1",
		"0000:e3:00.1",
		{},
		write("devices/pci0000:e3/0000:e3:00.1/revision", "0x02"),
		"reject",
		["attribute.differs"],
	],
	[
		"Xe: a PF with other VFs, among which it has divided what no file tells (xe_ggtt_node_load)",
		"xe-vf",
		"0000:e3:00.1",
		"0000:e3:00.1",
		{},
		write("devices/pci0000:e3/0000:e3:00.0/sriov_numvfs", "4"),
		"accept",
		["warning attribute.differs"],
	],
	[
		"a VF with larger BARs",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		{},
		write("devices/pci0000:06/0000:06:00.3/resource", resourceFile(2 ** 21)),
		"reject",
		["attribute.differs"],
	],
	[
		"NVIDIA: a VF without a type, which nobody sets: Nova does not know of types of VFs",
		"nvidia-vgpu-vf",
		"0000:41:00.4",
		"0000:41:00.5",
		{},
		{},
		"conditional",
		["warning dynamic.set"],
	],
	[
		"HiSilicon: to an older kernel, which may not know the state's new magic number (vf_qm_version_check)",
		"hisilicon-vf",
		"0000:31:00.1",
		"0000:31:00.1",
		{ kernel: "6.15.0" },
		{ kernel: "6.14.0" },
		"accept",
		["warning attribute.info"],
	],
	[
		"mlx5: to an older kernel, which may not know the headers in the state (mlx5vf_resume_read_header)",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		{ ...CONNECTX_6_DX, kernel: "6.12.0" },
		{ ...CONNECTX_6_DX, kernel: "6.1.0" },
		"accept",
		["warning attribute.info"],
	],
	[
		"mlx5: two VFs of alike boards",
		"mlx5-vf",
		"0000:06:00.2",
		"0000:06:00.3",
		CONNECTX_6_DX,
		CONNECTX_6_DX,
		"accept",
		[],
	],
	[
		"virtio: another kernel",
		"virtio-vf",
		"0000:c1:00.1",
		"0000:c1:00.1",
		{ kernel: "6.15.0" },
		{ kernel: "6.14.0" },
		"accept",
		[],
	],
	["HiSilicon: alike hosts", "hisilicon-vf", "0000:31:00.1", "0000:31:00.2", {}, {}, "accept", []],
	["virtio: alike hosts", "virtio-vf", "0000:c1:00.1", "0000:c1:00.1", {}, {}, "accept", []],
	[
		"virtio: a kernel that does not tell on one host",
		"virtio-vf",
		"0000:c1:00.1",
		"0000:c1:00.1",
		{},
		{ change: (root) => rmSync(join(root, "kernel/debug"), { recursive: true }) },
		"accept",
		[],
	],
];
test.each(ROWS)("%s", (_what, name, id, candidate, source, target, verdict, reasons) => {
	expect(decisionOf(name, id, candidate, source, target)).toEqual({ verdict, reasons });
});
