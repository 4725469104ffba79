import { expect, test } from "vitest";
import { comparerFor } from "../../src/compat/comparer.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { mdev } from "../support/devices.ts";

const encounter = (id: string) => ({
	source_host: "a",
	device: mdev(id, { software_version: "1.3.0" }),
	candidate: mdev("t", { software_version: "1.2.0" }),
	target_host: "b",
});

test("alike devices are compared once for a policy, whoever asks", () => {
	const first = comparerFor(DEFAULT_POLICY).fit(encounter("s1"), "key");
	expect(comparerFor(DEFAULT_POLICY).fit(encounter("s2"), "key")).toBe(first);
	expect(comparerFor({ ...DEFAULT_POLICY }).fit(encounter("s1"), "key")).not.toBe(first);
});

test("reasons have the names of the pair that was asked about, however often the pairs change", () => {
	const comparer = comparerFor({ ...DEFAULT_POLICY });
	for (const id of ["s1", "s2", "s1"]) {
		expect(comparer.reasons(encounter(id), "key").map(({ device }) => device)).toContain(id);
	}
});

test("what is remembered is bounded; what was forgotten is compared again and comes to the same", () => {
	const comparer = comparerFor({ ...DEFAULT_POLICY });
	const asked = encounter("s");
	const first = comparer.fit(asked, "0");
	for (let other = 1; other <= 16_383; other++) comparer.fit(asked, String(other));
	expect(comparer.fit(asked, "0")).toBe(first);
	comparer.fit(asked, "one more");
	const again = comparer.fit(asked, "0");
	expect(again).not.toBe(first);
	expect(again).toEqual(first);
});
