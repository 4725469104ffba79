import { expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import { fleetOf } from "../../src/compat/fleet.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { rankDecisions } from "../../src/compat/rank.ts";
import { rankSummary, reasonText, summary } from "../../src/compat/summary.ts";
import { mdev } from "../support/devices.ts";

const asker = { source_host: "cmp-01", devices: [mdev("s", { software_version: "1.1.0" })], policy: DEFAULT_POLICY };
const to = (version: string, policy = DEFAULT_POLICY, unreadable = {}) => {
	const candidates = [mdev("t", { software_version: version }, { unreadable })];
	return decide({ ...asker, policy, target_host: "cmp-02", candidates });
};

test("accept: the mapping, and warnings marked as such", () => {
	expect(summary(to("1.1.0"))).toMatch(/^accept \[[0-9a-f]{12}\]; s -> t$/);
	expect(
		summary(
			decide({
				...asker,
				devices: [mdev("s", { software_version: "1.1.1" })],
				target_host: "cmp-02",
				candidates: [mdev("t", { software_version: "1.1.0" })],
			}),
		),
	).toMatch(
		/^accept \[[0-9a-f]{12}\]; s -> t; warning version\.bugfix_downgrade: software_version 1\.1\.1 goes to an older bugfix version; cmp-02 t has 1\.1\.0$/,
	);
});

test("reject: every reason with its code; Nova gets the messages of the errors", () => {
	const decision = to("1.0.0");
	const message = "software_version 1.1.0 needs at least 1.1; cmp-02 t has 1.0.0";
	expect(summary(decision)).toMatch(/^reject \[[0-9a-f]{12}\]; version\.minor_downgrade: /);
	expect(reasonText(decision)).toBe(message);
	const several = decide({
		...asker,
		devices: [mdev("s", { software_version: "1.1.0", interface_version: "2.0.0", rev: "a" })],
		target_host: "cmp-02",
		candidates: [mdev("t", { software_version: "1.0.0", interface_version: "1.0.0", rev: "b" })],
	});
	expect(several.reasons.map(({ severity }) => severity)).toEqual(["error", "error", "warning"]);
	expect(reasonText(several)).toBe(`${message}; interface_version 2.0.0 needs major version 2; cmp-02 t has 1.0.0`);
});

test("every device with what it lands on", () => {
	const devices = ["s1", "s2"].map((id) => mdev(id, { software_version: "1.1.0" }));
	const candidates = ["t1", "t2"].map((id) => mdev(id, { software_version: "1.1.0" }));
	expect(summary(decide({ ...asker, devices, target_host: "cmp-02", candidates }))).toMatch(
		/^accept \[[0-9a-f]{12}\]; s1 -> t1, s2 -> t2$/,
	);
});

test("of many reasons and many devices the first eight, and how many there are", () => {
	const devices = Array.from({ length: 10 }, (_, index) => mdev(`s${index}`, { software_version: "1.1.1" }));
	const candidates = devices.map((_, index) => mdev(`t${index}`, { software_version: "1.1.0" }));
	const text = summary(decide({ ...asker, devices, target_host: "cmp-02", candidates }));
	expect(text.match(/s\d -> t\d/g)).toHaveLength(8);
	expect(text.match(/warning version\.bugfix_downgrade/g)).toHaveLength(8);
	expect(text.match(/\(\+2 more\)/g)).toHaveLength(2);
});

test("unknown: what the policy makes of it", () => {
	const unreadable = { interface_version: "EIO" };
	expect(summary(to("1.1.0", DEFAULT_POLICY, unreadable))).toMatch(/^unknown \(refused by policy\) \[/);
	expect(summary(to("1.1.0", { ...DEFAULT_POLICY, unknown: { "*": "accept" } }, unreadable))).toMatch(
		/^unknown \(allowed by policy\) \[/,
	);
});

test("a ranking: how many of each verdict, and why the first one is first", () => {
	const offers = ["1.1.0", "1.0.0", "1.2.0"].map((version, index) => ({
		host: `cmp-0${index + 2}`,
		candidates: [mdev("t", { software_version: version })],
	}));
	expect(rankSummary(rankDecisions(asker, fleetOf(offers)))).toMatch(
		/^best of 3: 2 accept, 1 reject; cmp-02 first: accept \[[0-9a-f]{12}\]; s -> t$/,
	);
	expect(rankSummary(rankDecisions(asker, fleetOf([])))).toBe("best of 0: ");
	expect(rankSummary(rankDecisions(asker, fleetOf(offers), 1))).toMatch(
		/^best of 3: 2 accept, 1 reject; cmp-02 first: /,
	);
});
