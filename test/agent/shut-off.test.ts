import { join } from "node:path";
import { expect, test } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { chosenDevices } from "../../src/cli/hosts.ts";
import { freeDevices, outsetOf } from "../../src/departure.ts";
import {
	populateDomain,
	populateMdev,
	populateMdevType,
	populatePci,
	temporaryHost,
	writeFiles,
} from "../support/sysfs.ts";

const RUNNING = "0002587c-b09d-468a-9995-53d16eeb8a15";
const SHUT_OFF = "1002587c-b09d-468a-9995-53d16eeb8a15";
const [FIRST, SECOND, GONE] = ["83b8", "93b8", "a3b8"].map((start) => `${start}f4f2-509f-382f-3c1e-e6bfe0fa1001`) as [
	string,
	string,
	string,
];

/** A host with two mdevs: an instance runs with the first, one that is shut off has the second. */
function hostWithBoth() {
	const { sysfs, libvirt } = temporaryHost();
	const libvirtConfigDir = join(libvirt, "config");
	const type = populateMdevType(sysfs, populatePci(sysfs, { address: "0000:81:00.0" }), { type: "nvidia-558" });
	for (const uuid of [FIRST, SECOND]) populateMdev(sysfs, type, { uuid });
	populateDomain(libvirt, { uuid: RUNNING, mdevs: [FIRST] });
	// What the one that runs has after its next start is not what it has, and mdevs are made anew after a boot.
	populateDomain(libvirtConfigDir, { uuid: RUNNING, mdevs: [SECOND], bare: true });
	populateDomain(libvirtConfigDir, {
		name: "instance-00000002",
		uuid: SHUT_OFF,
		mdevs: [FIRST, SECOND, GONE],
		bare: true,
	});
	// libvirt passes over what is no domain, too.
	writeFiles(libvirtConfigDir, { "default.xml": "<network><name>default</name></network>", "notes.xml": "<domain>" });
	return { host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt, libvirtConfigDir };
}

test("the device of an instance that is shut off is free for none", () => {
	const snapshot = takeSnapshot(hostWithBoth());
	const mdevs = snapshot.devices.filter(({ kind }) => kind === "mdev");
	expect(mdevs.map(({ id, instance }) => [id, instance])).toEqual([
		[FIRST, RUNNING],
		[SECOND, SHUT_OFF],
	]);
	expect(freeDevices(snapshot).filter(({ kind }) => kind === "mdev")).toEqual([]);
});

test("an instance that is shut off does not run, whatever it has", () => {
	const snapshot = takeSnapshot(hostWithBoth());
	expect(snapshot.instances).toEqual([RUNNING]);
	expect(chosenDevices(snapshot, undefined).map(({ id }) => id)).toEqual([FIRST]);
	const departure = { source_host: "cmp", ports: [], announced: { count: 0, names: "", complete: false } };
	const outset = outsetOf({ snapshot, notes: [] }, { ...departure, instance_uuid: SHUT_OFF });
	expect(outset).toMatchObject({ verdict: "unknown", reasons: [{ code: "instance.not_found" }] });
});
