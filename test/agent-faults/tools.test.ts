import { expect } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost } from "../../src/agent/tools.ts";
import { CLASS_HOSTS } from "../agent/hosts.ts";
import { row } from "../faults/rows.ts";
import { leftOvers } from "../support/left-overs.ts";
import { writePrograms } from "../support/programs.ts";
import { temporaryHost } from "../support/sysfs.ts";

const BOUND_MS = 5_000;

/** what the tool does, errno of what it would have told */
const FAULTS = [
	["is missing", undefined, "ENOENT"],
	["hangs", "exec 9<$0; sleep 600", "ETIMEDOUT"],
	["hangs in a child", "exec 9<$0; sleep 600 & wait", "ETIMEDOUT"],
	["ignores signals", "exec 9<$0; trap '' TERM INT HUP; while :; do sleep 1; done", "ETIMEDOUT"],
	["prints another language", "printf '00000000:41:00.0, Aktiviert f\\303\\274r, aus'", "EILSEQ"],
	["prints another format", "echo '41:00.0 ecc=on mig=off'", "EBADMSG"],
	["floods", "yes", "EFBIG"],
] as const;

row(67, "nvidia-smi is missing, hangs, speaks or prints otherwise", "<= 5 s, nobody left", async (measure) => {
	let slowest = 0;
	const left: string[] = [];
	for (const [what, script, errno] of FAULTS) {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["nvidia-vgpu-mdev"]?.populate(sysfs);
		const tool = script === undefined ? "/nowhere/nvidia-smi" : writePrograms({ tool: script }).tool;
		const started = performance.now();
		const told = await askHost(sysfs, { devlink: tool, vdpa: tool, "nvidia-smi": tool });
		slowest = Math.max(slowest, performance.now() - started);
		left.push(...(await leftOvers(tool)));
		const { devices } = takeSnapshot({ host: "cmp-01", sysfsRoot: sysfs, libvirtDir: libvirt, told });
		const mdev = devices.find(({ kind }) => kind === "mdev");
		expect(mdev, what).toMatchObject({
			attributes: { mdev_type: "nvidia-232", driver_version: "550.90.05" },
			unreadable: { ecc_mode: errno, mig_mode: errno },
		});
	}
	measure(`slowest ${(slowest / 1000).toFixed(2)} s, ${left.length} processes left`);
	expect(slowest).toBeLessThanOrEqual(BOUND_MS);
	expect(left).toEqual([]);
});
