import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost } from "../../src/agent/tools.ts";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { CLASS_HOSTS } from "../agent/hosts.ts";
import { row } from "../faults/rows.ts";
import { leftOvers } from "../support/left-overs.ts";
import { writePrograms } from "../support/programs.ts";
import { temporaryHost } from "../support/sysfs.ts";
import { AgentProcess } from "./agent-process.ts";
import { neverAnswered } from "./never-answered.ts";

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

/** Processes with an argument. */
function pidsOf(argument: string): readonly string[] {
	return readdirSync("/proc").filter((pid) => {
		try {
			return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").includes(argument);
		} catch {
			return false;
		}
	});
}

row(
	67,
	"nvidia-smi hangs in the kernel, where no signal ends it",
	"one process, asked again when it has ended",
	async (measure) => {
		const { sysfs, libvirt } = temporaryHost();
		CLASS_HOSTS["nvidia-vgpu-mdev"]?.populate(sysfs);
		const board = join(sysfs, "board");
		writeFileSync(board, "");
		const answer = await neverAnswered(board);
		const tool = writePrograms({ "nvidia-smi": "exec cat /sys/board" })["nvidia-smi"];
		const mounts = `mount --rbind ${sysfs} /sys; mount -t overlay none -o lowerdir=${dirname(tool)}:/usr/bin /usr/bin`;
		const agent = await AgentProcess.start({ sysfs: "/sys", libvirt, mounts });
		const scans = () => agent.metric('novacompat_agent_scans_total{outcome="done"}');
		const left = () => pidsOf("/sys/board");
		const modes = async () => {
			const { devices } = Snapshot.parse(JSON.parse((await agent.ask("/v1/snapshot")).body));
			return devices.find(({ kind }) => kind === "mdev")?.unreadable;
		};
		await expect.poll(scans, { timeout: 60_000 }).toBeGreaterThanOrEqual(4);
		const hanging = left();
		measure(`${hanging.length} after ${await scans()} scans`);
		expect(await modes()).toEqual({ ecc_mode: "ETIMEDOUT", mig_mode: "ETIMEDOUT" });
		await answer();
		await expect.poll(modes, { timeout: 30_000 }).toEqual({ ecc_mode: "EIO", mig_mode: "EIO" });
		expect(left()).toEqual([]);
		expect(hanging).toHaveLength(1);
		expect(agent.log()).toContain(
			`/usr/bin/nvidia-smi hangs in the kernel and takes no signal (process ${hanging[0]})`,
		);
	},
);
