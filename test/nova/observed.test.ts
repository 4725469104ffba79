import { expect, test } from "vitest";
import { InvalidRequest } from "../../src/nova/objects.ts";
import { observeMessage } from "../../src/nova/observed.ts";

/** What is seen of a migration that begins with these devices. */
function started(target_mdevs: Readonly<Record<string, string>>) {
	const args = { instance: { uuid: "u" }, dest: "cmp-02", migrate_data: { target_mdevs } };
	return observeMessage({ method: "live_migration", args }, "compute.cmp-01");
}

const devices = (count: number) =>
	Object.fromEntries(Array.from({ length: count }, (_, number) => [`DEVICE-${number}`, "OTHER"]));

test("devices are told in lower case, as an agent writes them", () => {
	expect(started(devices(1))).toMatchObject({ dest_host: "cmp-02", mapping: { "device-0": "other" } });
});

test("no more devices are taken than an instance can have, nor longer ids", () => {
	expect(Object.keys(Object(started(devices(256))).mapping)).toHaveLength(256);
	const expected = new InvalidRequest("migrate_data.target_mdevs is not an object of at most 256 device ids");
	expect(() => started(devices(257))).toThrow(expected);
	expect(() => started({ a: "x".repeat(65) })).toThrow(expected);
	expect(() => started({ ["x".repeat(65)]: "a" })).toThrow(expected);
});
