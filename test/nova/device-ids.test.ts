import { posix } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { answer } from "../../src/agent/routes.ts";
import { NO_SCANS } from "../../src/agent/scanner.ts";
import { isDeviceId } from "../../src/compat/device.ts";
import { InvalidRequest } from "../../src/nova/objects.ts";
import { readOwnRequest } from "../../src/nova/own-requests.ts";

/** `npm run test:fuzz` tries a million. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 3_000);
const TIMEOUT = 3_600_000;

const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
const VALID = ["0000:3b:10.2", "10de:ff:1f.7", UUID, "vdpa0", "0000:41:00.0/nvidia-558", "0.0.0313/vfio_ccw-io"];

/** What is right, and what an attacker might put in its place. */
const rows: readonly (readonly [id: string, isId: boolean])[] = [
	...VALID.map((id) => [id, true] as const),
	["a".repeat(64), true],
	["a".repeat(65), false],
	["", false],
	["0000:3b:10.8", false],
	["0000:3b:20.0", false],
	["0000:3B:10.0", false],
	["3b:10.0", false],
	["0000:3b:10.2\n", false],
	["0000:3b:10.2\0", false],
	[" 0000:3b:10.2", false],
	["０000:3b:10.2", false],
	[".", false],
	["..", false],
	[".hidden", false],
	["/etc/passwd", false],
	["../../../etc/passwd", false],
	["0000:41:00.0/..", false],
	["../nvidia-558", false],
	["0000:41:00.0/nvidia-558/..", false],
	["0000:41:00.0//nvidia-558", false],
	["%2e%2e%2fetc", false],
	["vdpa0;reboot", false],
	["$(reboot)", false],
	["*", false],
];
test.each(rows)("SEC-31: %j", (id, isId) => {
	expect(isDeviceId(id)).toBe(isId);
});

const pieces = fc.constantFrom(
	"/",
	"..",
	".",
	"\\",
	"%2f",
	"\0",
	"\n",
	" ",
	":",
	"-",
	"_",
	"+",
	"0",
	"f",
	"é",
	"nvidia-1",
);
/** A right one with something cut out and something put in its place, what paths are made of, or anything. */
const ids = fc.oneof(
	fc
		.tuple(fc.constantFrom(...VALID), fc.nat(64), fc.nat(4), fc.array(pieces, { maxLength: 3 }))
		.map(([id, at, cut, put]) => id.slice(0, at) + put.join("") + id.slice(at + cut)),
	fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join("")),
	fc.string({ unit: "binary", maxLength: 80 }),
);

test(`SEC-31: whatever a request calls a device, it is a key or a mistake (${RUNS} runs)`, {
	timeout: TIMEOUT,
}, async () => {
	const DIRECTORY = "/sys/bus/pci/devices";
	const scan = { body: Buffer.from('{"devices":[]}'), etag: '"0"', running: new Set<string>(), collectedAt: 0 };
	const counts = { answers: new Map<number, number>(), connections: 0, scans: NO_SCANS, tls: undefined };
	const sources = { latest: () => scan, counts: () => counts, detailed: false };
	const asked = { accept: "", ifNoneMatch: undefined, host: "" };
	const seen = { keys: 0, mistakes: 0 };
	const check = async (id: string) => {
		const { status } = await answer("GET", `/v1/instances/${id}/devices`, asked, sources);
		expect(status).toBe(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id) ? 200 : /[/?]/.test(id) ? 404 : 400);
		const request = { instance_uuid: UUID, source_host: "a", dest_host: "b", devices: [id] };
		try {
			expect(readOwnRequest({ request }).devices).toEqual([id]);
		} catch (error) {
			if (!(error instanceof InvalidRequest)) throw error;
			seen.mistakes++;
			expect(error.message).toMatch(/^request\.devices\.0 is .*, expected a PCI address/s);
			return;
		}
		seen.keys++;
		// Even somebody who made a path of it, which nobody does, would stay where he is.
		expect(posix.join(DIRECTORY, id)).toBe(`${DIRECTORY}/${id}`);
		expect(id).toMatch(/^[A-Za-z0-9_.:+/-]{1,193}$/);
	};
	await fc.assert(fc.asyncProperty(ids, check), { numRuns: RUNS });
	expect(seen.keys).toBeGreaterThan(RUNS / 100);
	expect(seen.mistakes).toBeGreaterThan(RUNS / 2);
});
