import { expect, test } from "vitest";
import { renderRanking } from "../../../src/cli/rank.ts";
import { terminalColour } from "../../../src/cli/render/decision.ts";
import { renderExplanation } from "../../../src/cli/render/explanation.ts";
import { explain } from "../../../src/compat/explain.ts";
import { fleetOf } from "../../../src/compat/fleet.ts";
import { DEFAULT_POLICY } from "../../../src/compat/policy.ts";
import { rankDecisions } from "../../../src/compat/rank.ts";
import { mdev } from "../../support/devices.ts";

const asker = { source_host: "cmp-01", policy: DEFAULT_POLICY, devices: [mdev("s", { software_version: "1.0.0" })] };
const candidates = [mdev("t", { software_version: "1.0.0" })];

test("verdicts are coloured when asked for, and everything else stays as it is", () => {
	const decision = explain({ ...asker, target_host: "cmp-02", candidates });
	const plain = renderExplanation(decision, { colour: false });
	const painted = renderExplanation(decision, { colour: true });
	expect(painted).toContain("\u001b[32mACCEPT\u001b[39m  cmp-01 -> cmp-02");
	expect(withoutColour(painted)).toBe(plain);

	const hosts = rankDecisions(
		asker,
		fleetOf([
			{ host: "accept", candidates },
			{ host: "cmp-03", candidates: [] },
		]),
	);
	expect(withoutColour(renderRanking(hosts, { colour: true }))).toBe(renderRanking(hosts, { colour: false }));
	expect(renderRanking(hosts, { colour: true })).toContain("1  accept  \u001b[32maccept ");
});

test("what cannot be read, or is malformed, is told in words: two columns do not say whose it is, and what is wrong", () => {
	const versions = { software_version: "1.0.0", interface_version: "2.0.1" };
	const target = mdev("t", { ...versions, interface_version_compatible: "2.0.2,,2.1" }, { unreadable: { agg: "EIO" } });
	const devices = [mdev("s", { ...versions, agg: "1" })];
	const policy = { ...DEFAULT_POLICY, other_attributes: "equal" } as const;
	const text = renderExplanation(explain({ ...asker, policy, devices, target_host: "cmp-02", candidates: [target] }), {
		colour: false,
	});
	expect(text).toContain("attribute.unreadable  agg of cmp-02 t cannot be read (EIO)");
	expect(text).toContain("2.0.2,,2.1 of cmp-02 t is malformed at column 7: an item is empty");
	expect(text).not.toContain("SOURCE HAS");
});

test("a rule that steps aside for what the devices declare is named", () => {
	const devices = [mdev("s", { software_version: "1.0.0", vendor: "8086" })];
	const target = mdev("t", { software_version: "1.0.0", vendor: "15b3", vendor_compatible: "8086" });
	const decision = explain({ ...asker, devices, target_host: "cmp-02", candidates: [target] });
	expect(renderExplanation(decision, { colour: false })).toContain(
		"  accept  s -> t\n    judged by what the devices declare, not by the policy: vendor\n",
	);
});

test("one device wants what is not free", () => {
	const text = renderExplanation(
		explain({ ...asker, target_host: "cmp-02", candidates: candidates.map((one) => ({ ...one, capacity: 0 })) }),
		{ colour: false },
	);
	expect(text).toContain("s fits t (1 device wants it, 0 free)");
});

test("a terminal has colour unless the environment says no", () => {
	const stream = (isTTY: boolean, colours: boolean) =>
		({ isTTY, hasColors: () => colours }) as unknown as NodeJS.WriteStream;
	expect([stream(true, true), stream(true, false), stream(false, true)].map(terminalColour)).toEqual([
		{ colour: true },
		{ colour: false },
		{ colour: false },
	]);
});

test("obligations are said apart from the differences", () => {
	const devices = [mdev("s", { software_version: "1.0.0", aggregator: "4" })];
	const target = mdev("p/t", { software_version: "1.0.0", dynamic_resources: "aggregator" }, { kind: "mdev_type" });
	const text = renderExplanation(explain({ ...asker, devices, target_host: "cmp-02", candidates: [target] }), {
		colour: false,
	});
	expect(text).toContain("conditional  s -> p/t\n    to do first: set aggregator=4 when claiming cmp-02 p/t");
	expect(text).not.toContain("dynamic.set");
});

test("what Nova may choose instead is said before the devices", () => {
	const others = [...candidates, mdev("u", { software_version: "0.9.0" })];
	const text = renderExplanation(explain({ ...asker, target_host: "cmp-02", candidates: others }), { colour: false });
	expect(text).toContain("]\n  warning  candidate.mixed  Nova may give s another free device of cmp-02");
	expect(text).toContain("\n\n  accept  s -> t\n    others: u: reject (version.major_mismatch)\n");
});

function withoutColour(text: string): string {
	return ["32", "33", "31", "39"].reduce((left, code) => left.replaceAll(`\u001b[${code}m`, ""), text);
}
