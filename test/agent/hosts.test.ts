import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost } from "../../src/agent/tools.ts";
import { classify } from "../../src/compat/device-class.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { writePrograms } from "../support/programs.ts";
import { temporaryHost } from "../support/sysfs.ts";
import { CLASS_HOSTS, type ClassHost } from "./hosts.ts";

const KERNEL = "6.8.0-45-generic";
const NOTHING = "echo nobody asked; exit 1";

/** Populates the host and looks at it as the agent does, programs included; only the release of the kernel is not this machine's. */
async function snapshotOf({ populate, programs = {} }: ClassHost): Promise<Snapshot> {
	const { sysfs, libvirt } = temporaryHost();
	populate(sysfs);
	const scripts = { devlink: NOTHING, vdpa: NOTHING, "nvidia-smi": NOTHING, ...programs };
	const told = { ...(await askHost(sysfs, writePrograms(scripts))), kernel_release: KERNEL };
	return takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, told });
}

/** `vitest run -u` writes the golden files anew. */
describe.each(Object.keys(CLASS_HOSTS))("a host with devices of class %s", (name) => {
	const host = CLASS_HOSTS[name] as ClassHost;

	test("is what the golden snapshot says", async () => {
		const snapshot = await snapshotOf(host);
		expect(Snapshot.parse(snapshot)).toEqual(snapshot);
		const golden = join(import.meta.dirname, `golden/classes/${name}.snapshot.json`);
		await expect(`${JSON.stringify(snapshot, null, "\t")}\n`).toMatchFileSnapshot(golden);
	});

	test("has devices that the policy takes for that class", async () => {
		const { devices } = await snapshotOf(host);
		const classes = devices.map((device) => classify(device, DEFAULT_POLICY).device_class?.name);
		expect(classes).toContain(name);
	});

	test("says where each attribute and fact comes from that is no file of the device", async () => {
		const { sysfs, libvirt } = temporaryHost();
		host.populate(sysfs);
		const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
		for (const device of devices) {
			const { path = "", attributes, unreadable, sources, facts, unreadable_facts, fact_sources } = device;
			expect(path).toMatch(/^devices\//);
			expectPlaces(sysfs, path, { ...attributes, ...unreadable }, sources);
			expectPlaces(sysfs, path, { ...facts, ...unreadable_facts }, fact_sources);
		}
	});

	test("gives nothing away that identifies hardware or guests", async () => {
		expect(JSON.stringify(await snapshotOf(host))).not.toMatch(/([0-9a-f]{2}:){5}[0-9a-f]{2}|serial/i);
	});
});

/** Every name has a source, or is a file or link of the device; where no program was asked, all of these are paths. */
function expectPlaces(
	sysfs: string,
	path: string,
	known: object,
	sources: Readonly<Record<string, string>> = {},
): void {
	for (const name of Object.keys(sources)) expect(known).toHaveProperty([name]);
	for (const name of Object.keys(known)) {
		const source = sources[name] ?? `${path}/${name}`;
		const place = source.startsWith("/proc/") ? join(sysfs, "..", source) : join(sysfs, source);
		expect(existsSync(place), `${name} is from ${source}`).toBe(true);
	}
}

test("every class of the policy has a host", () => {
	const names = DEFAULT_POLICY.classes.map(({ name }) => name);
	expect(Object.keys(CLASS_HOSTS).sort()).toEqual(names.sort());
});
