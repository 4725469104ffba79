import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { expect, onTestFinished } from "vitest";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { row } from "../faults/rows.ts";
import { MAIN } from "../support/cli.ts";
import { populatePci, temporaryHost } from "../support/sysfs.ts";
import { opensOf } from "./trace.ts";

const CANARY = "canary-7d02";

/** What a driver, or who has got hold of a tree, may put in the place of what the agent reads; names of the links. */
const PLACES = [
	...["vendor", "device", "subsystem_vendor", "class", "revision"],
	...["software_version", "interface_version", "migration_version", "migration_compatible", "device_api", "base_type"],
	...["aggregation_ratio", "aggregator", "dynamic_resources", "pv_mode", "device_type", "compatible_x", "x_compatible"],
	...["driver", "physfn", "iommu_group", "migration", "mdev_supported_types", "sriov_admin", "numa_node"],
];

/** Where the links lead: of the path of a file, or of a directory, outside the tree; `tree` is the root. */
const ESCAPES: readonly (readonly [string, (outside: string, from: string, tree: string) => string])[] = [
	["absolute", (outside) => outside],
	["relative", (outside, from) => relative(from, outside)],
	["more steps up than there are", (outside) => `${"../".repeat(40)}${outside.slice(1)}`],
	["through the root of a process", (outside) => `/proc/self/root${outside}`],
	["through the directory of a process", (outside) => `/proc/self/cwd/${"../".repeat(40)}${outside.slice(1)}`],
	["through a link in the tree", (outside, _from, tree) => `${tree}/bus/out/${basename(outside)}`],
	[
		"through two links in the tree",
		(outside, from, tree) => `${relative(from, join(tree, "bus/twice"))}/${basename(outside)}`,
	],
	[
		"down and up again",
		(outside, from, tree) =>
			`${relative(from, join(tree, "bus"))}/../devices/../..${outside.replace(dirname(tree), "")}`,
	],
	["beside the tree, with a name that begins alike", (outside, _from, tree) => `${tree}-beside/${basename(outside)}`],
	["to a process' environment", () => "/proc/self/environ"],
	["to a process' memory", () => "/proc/self/mem"],
	["to a device without an end", () => "/dev/zero"],
];

row(
	"SEC-32",
	`${ESCAPES.length * PLACES.length} links out of the tree: ${ESCAPES.length} ways in ${PLACES.length} places`,
	"0 opens outside, 0 bytes from there",
	async (measure) => {
		const { sysfs, libvirt } = temporaryHost();
		const outside = join(dirname(sysfs), "outside");
		const ofInterest = [sysfs, outside, "/proc/self/environ", "/proc/self/mem", "/dev/zero"];
		for (const directory of [outside, `${sysfs}-beside`]) {
			mkdirSync(join(directory, "directory/nvidia-558"), { recursive: true });
			for (const name of ["file", ...PLACES.map((place) => `directory/${place}`), "directory/nvidia-558/device_api"]) {
				writeFileSync(join(directory, name), `${CANARY}\n`);
			}
		}
		symlinkSync(outside, join(sysfs, "bus/out"));
		symlinkSync("out", join(sysfs, "bus/twice"));
		for (const [number, [, targetOf]] of ESCAPES.entries()) {
			const node = populatePci(sysfs, { address: `0000:3b:${(16 + number).toString(16)}.0`, driver: "mlx5_vfio_pci" });
			for (const place of PLACES) {
				const isDirectory = /^(driver|physfn|iommu_group|migration|mdev_supported_types|sriov_admin)$/.test(place);
				rmSync(join(node, place), { force: true });
				symlinkSync(targetOf(join(outside, isDirectory ? "directory" : "file"), node, sysfs), join(node, place));
			}
			// A device that is a link out of the tree, too.
			const devices = join(sysfs, "bus/pci/devices");
			symlinkSync(targetOf(join(outside, "directory"), devices, sysfs), join(devices, `0000:66:00.${number}`));
		}
		const trace = `${sysfs}-trace`;
		onTestFinished(() => rmSync(trace, { force: true }));
		const command = [process.execPath, MAIN, "snapshot", "--sysfs-root", sysfs, "--libvirt-dir", libvirt];
		const strace = ["-f", "-y", "-qq", "-e", "trace=open,openat,openat2", "-o", trace, ...command];
		const text = execFileSync("strace", strace, { encoding: "utf8", env: { ...process.env, CANARY } });
		const { devices } = Snapshot.parse(JSON.parse(text));

		// `openat(AT_FDCWD</x>, "<what is asked for>", ...) = 17</what was opened>`
		const asked = opensOf(readFileSync(trace, "utf8").split("\n")).flatMap((line) => {
			const [, path = "", opened] = /"([^"]*)".*?(?:= \d+<([^>]*)>)?$/.exec(line) ?? [];
			return opened !== undefined && ofInterest.some((start) => [path, opened].some((one) => one.startsWith(start)))
				? [opened]
				: [];
		});
		const inside = asked.filter((opened) => opened.startsWith(`${sysfs}/`));
		const escaped = asked.filter((opened) => !`${opened}/`.startsWith(`${sysfs}/`));
		const bytes = text.split(CANARY).length - 1;
		const refused: Record<string, number> = {};
		for (const { unreadable } of devices) {
			for (const errno of Object.values(unreadable)) refused[errno] = (refused[errno] ?? 0) + 1;
		}
		measure(
			`${escaped.length} opens outside, ${inside.length} inside; ${bytes * CANARY.length} bytes; ${JSON.stringify(refused)}`,
		);
		expect(escaped).toEqual([]);
		expect(bytes).toBe(0);
		expect(inside.length).toBeGreaterThan(ESCAPES.length);
		expect(devices.length).toBe(ESCAPES.length);
		expect(existsSync(join(sysfs, "bus/twice/file"))).toBe(true);
	},
);
