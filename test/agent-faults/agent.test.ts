import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { row } from "../faults/rows.ts";
import { populatePci, temporaryHost } from "../support/sysfs.ts";

row(63, "attribute of 64 MB", "EFBIG, at most 4,097 bytes read", async (measure) => {
	const { sysfs, libvirt } = temporaryHost();
	const node = populatePci(sysfs, { address: "0000:3b:10.0" });
	writeFileSync(join(node, "software_version"), "1");
	truncateSync(join(node, "software_version"), 64 * 1024 * 1024);
	const { devices } = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt });
	measure(`${devices[0]?.unreadable["software_version"]}`);
	expect(devices[0]?.unreadable).toEqual({ software_version: "EFBIG" });
});

row(64, "texts that are not ASCII, NULs, line ends", "the text, or EILSEQ", async (measure) => {
	const { sysfs, libvirt } = temporaryHost();
	const node = populatePci(sysfs, { address: "0000:3b:10.0" });
	const texts = { software_version: "1.0\r\n", interface_version: "1.0\0\0\n", base_type: "a\0b", pv_mode: "na\xefve" };
	for (const [name, text] of Object.entries(texts)) writeFileSync(join(node, name), text, "latin1");
	const [device] = takeSnapshot({ host: "cmp", sysfsRoot: sysfs, libvirtDir: libvirt }).devices;
	measure(`${JSON.stringify(device?.attributes["software_version"])}, ${device?.unreadable["base_type"]}`);
	expect(device?.attributes).toMatchObject({ software_version: "1.0", interface_version: "1.0" });
	expect(device?.unreadable).toEqual({ base_type: "EILSEQ", pv_mode: "EILSEQ" });
});
