import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { decide } from "../../src/compat/decide.ts";
import type { Decision } from "../../src/compat/decision.ts";
import { inForce } from "../../src/compat/override.ts";
import { PolicyFile } from "../../src/policy/policy.ts";
import { readYaml } from "../../src/yaml.ts";
import { mdev, pci } from "../support/devices.ts";

const Texts = z.record(z.string(), z.string());
const Scenario = z.strictObject({
	name: z.string(),
	row: z.string().optional(),
	from: z.string().optional(),
	rule: z.string().optional(),
	/** What both devices are; an mdev has a type and a device_api that the columns need not name. */
	kind: z.enum(["mdev", "pci"]).default("mdev"),
	/** When the question is asked, for overrides. */
	now: z.iso.datetime().default("2026-08-21T12:00:00Z"),
	policy: PolicyFile.prefault({}),
	source: Texts,
	source_unreadable: Texts.default({}),
	target: Texts,
	target_unreadable: Texts.default({}),
	verdict: z.enum(["accept", "conditional", "reject", "unknown"]),
	/** What Nova is told; left out, what the verdict says. */
	allowed: z.enum(["true", "false"]).optional(),
	reasons: z.array(z.string()).default([]),
	/** The exact text of the first reason. */
	message: z.string().optional(),
});

const SCENARIOS = `${import.meta.dirname}/../scenarios`;

function decideScenario({ kind, policy, now, ...columns }: z.infer<typeof Scenario>): Decision {
	const device = kind === "mdev" ? mdev : pci;
	return decide({
		source_host: "source",
		target_host: "target",
		devices: [device("s", columns.source, { unreadable: columns.source_unreadable })],
		candidates: [device("t", columns.target, { unreadable: columns.target_unreadable })],
		policy: inForce(policy, Date.parse(now)),
	});
}

/** Every word of a decision, as it stands in the golden file. */
function transcript({ name }: z.infer<typeof Scenario>, { verdict, reasons }: Decision): string {
	const lines = reasons.map(({ severity, code, message, device: _device, candidate: _candidate, ...rest }) => {
		const details = Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
		return `  ${severity} ${code}: ${message}\n      ${details.join(" ")}\n`;
	});
	return `${name}\n  ${verdict}\n${lines.join("")}`;
}

for (const file of readdirSync(SCENARIOS)
	.filter((name) => name.endsWith(".yaml"))
	.sort()) {
	describe(file, () => {
		const scenarios = readYaml(`${SCENARIOS}/${file}`, z.array(Scenario), "failsafe");
		test("every word of every reason (vitest -u writes it anew)", async () => {
			const text = scenarios.map((scenario) => transcript(scenario, decideScenario(scenario))).join("\n");
			await expect(text).toMatchFileSnapshot(`${SCENARIOS}/golden/${file.replace(".yaml", ".txt")}`);
		});
		test.each(scenarios)("$name", (expected) => {
			const decision = decideScenario(expected);
			const reasons = decision.reasons.map(({ code, severity }) => (severity === "error" ? code : `warning ${code}`));
			expect({ verdict: decision.verdict, reasons }).toEqual({ verdict: expected.verdict, reasons: expected.reasons });
			expect(decision.allowed).toBe(expected.allowed ? expected.allowed === "true" : expected.verdict === "accept");
			expect(decision.mapping).toEqual(expected.verdict === "reject" ? {} : { s: "t" });
			if (expected.message !== undefined) expect(decision.reasons[0]?.message).toBe(expected.message);
		});
	});
}
