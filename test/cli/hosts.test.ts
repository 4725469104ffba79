import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { expect, test } from "vitest";
import { readOverlays } from "../../src/agent/overlay-file.ts";
import { DEFAULT_LIBVIRT_DIR, DEFAULT_OVERLAY_DIR } from "../../src/agent/places.ts";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { askHost } from "../../src/agent/tools.ts";
import { readHost } from "../../src/cli/hosts.ts";

test.runIf(existsSync("/sys/bus"))("/sys is what the agent of this machine serves, its programs asked", async () => {
	const told = await askHost("/sys");
	expect(told.kernel_release).toBeDefined();
	const overlays = await readOverlays(DEFAULT_OVERLAY_DIR);
	const where = { sysfsRoot: "/sys", libvirtDir: DEFAULT_LIBVIRT_DIR };
	expect(await readHost("/sys")).toEqual(takeSnapshot({ host: hostname(), ...where, told, overlays }));
});

test("a tree is another machine, of which the programs of this one know nothing", async () => {
	const { host, devices } = await readHost("config/samples/hosts/cmp-02");
	expect(host).toBe("cmp-02");
	expect(devices.filter(({ attributes }) => "kernel_release" in attributes)).toEqual([]);
});

test("a snapshot that cannot be read is told so, not that it is no JSON", async () => {
	// EIO also for root, who may read everything.
	await expect(readHost("/proc/self/mem")).rejects.toMatchObject({ code: "EIO" });
});
