import { expect, test } from "vitest";
import { comparerFor } from "../../src/compat/comparer.ts";
import { DEFAULT_POLICY, type Override } from "../../src/compat/policy.ts";
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

test("what was asked before is known; so are reasons without a name in them", () => {
	const comparer = comparerFor({ ...DEFAULT_POLICY });
	const first = comparer.reasons(encounter("s1"), "key");
	expect(comparer.reasons(encounter("s2"), "key")).not.toBe(first);
	const asked = encounter("s3");
	const known = comparer.reasons(asked, "key");
	expect(known).not.toHaveLength(0);
	expect(comparer.reasons({ ...asked }, "key")).toBe(known);
	const fitting = (id: string) => ({ ...encounter(id), candidate: mdev("t", { software_version: "1.3.0" }) });
	const nothing = comparer.reasons(fitting("s1"), "fits");
	expect(nothing).toEqual([]);
	expect(comparer.reasons(fitting("s2"), "fits")).toBe(nothing);
});

test("devices alike are judged each by the overrides that name it", () => {
	const by = (author: string, scope: Override["scope"]): Override => ({
		author,
		reason: "change 4711",
		created: "2026-08-21T10:00:00Z",
		expires: "2026-08-21T20:00:00Z",
		scope,
	});
	const overrides = [by("jane", { device: "s1" }), by("joe", { device: "s2" }), by("jim", { code: "type.mismatch" })];
	const comparer = comparerFor({ ...DEFAULT_POLICY, overrides });
	const authors = ["s1", "s2", "s3", "s1"].map((id) =>
		comparer
			.fit(encounter(id), "key")
			.reasons.filter(({ code }) => code === "override.used")
			.map(({ message }) => message.split(" ")[0]),
	);
	expect(authors).toEqual([["jane"], ["joe"], [], ["jane"]]);
	const { reasons } = comparer.fit(encounter("s1"), "key");
	expect(reasons.map(({ code }) => code)).toEqual(["version.minor_downgrade", "override.used"]);
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
