import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { decide } from "../../src/compat/decide.ts";
import { PolicyFile } from "../../src/policy/policy.ts";
import { readYaml } from "../../src/yaml.ts";
import { mdev } from "../support/devices.ts";

const Texts = z.record(z.string(), z.string());
const Scenario = z.strictObject({
	name: z.string(),
	row: z.string().optional(),
	from: z.string().optional(),
	rule: z.string().optional(),
	policy: PolicyFile.prefault({}),
	source: Texts,
	source_unreadable: Texts.default({}),
	target: Texts,
	target_unreadable: Texts.default({}),
	verdict: z.enum(["accept", "conditional", "reject", "unknown"]),
	reasons: z.array(z.string()).default([]),
	/** The exact text of the first reason. */
	message: z.string().optional(),
});

const SCENARIOS = `${import.meta.dirname}/../scenarios`;

for (const file of readdirSync(SCENARIOS).sort()) {
	describe(file, () => {
		const scenarios = readYaml(`${SCENARIOS}/${file}`, z.array(Scenario), "failsafe");
		test.each(scenarios)("$name", ({ source, source_unreadable, target, target_unreadable, policy, ...expected }) => {
			const decision = decide({
				source_host: "source",
				target_host: "target",
				devices: [mdev("s", source, { unreadable: source_unreadable })],
				candidates: [mdev("t", target, { unreadable: target_unreadable })],
				policy,
			});
			const reasons = decision.reasons.map(({ code, severity }) => (severity === "error" ? code : `warning ${code}`));
			expect({ verdict: decision.verdict, reasons }).toEqual({ verdict: expected.verdict, reasons: expected.reasons });
			expect(decision.allowed).toBe(expected.verdict === "accept");
			expect(decision.mapping).toEqual(expected.verdict === "reject" ? {} : { s: "t" });
			if (expected.message !== undefined) expect(decision.reasons[0]?.message).toBe(expected.message);
		});
	});
}
