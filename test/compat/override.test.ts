import { expect, test } from "vitest";
import { inForce, isOverridable, override, overridesFor } from "../../src/compat/override.ts";
import type { Override } from "../../src/compat/policy.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { reason } from "../../src/compat/reason.ts";
import { isTolerated } from "../../src/compat/unknown.ts";

const by = (scope: Override["scope"]): Override => ({
	author: "jane",
	reason: "change 4711",
	created: "2026-08-21T10:00:00Z",
	expires: "2026-08-21T20:00:00Z",
	scope,
});

test("an override for one device does not apply where the question is about none", () => {
	const place = { source_host: "a", target_host: "b" };
	const overrides = [by({ device: "d" }), by({ source_host: "a" }), by({ source_host: "b" }), by({ code: "x" })];
	expect(overridesFor(overrides, place)).toEqual([overrides[1], overrides[3]]);
	expect(overridesFor(overrides, { ...place, device: "d" })).toEqual([overrides[0], overrides[1], overrides[3]]);
});

test("the word of the override is about all that it turned into warnings, each once", () => {
	const found = [
		reason("attribute.differs", "equal", "one", { device: "d", candidate: "c" }),
		reason("attribute.differs", "equal", "two", { device: "d", candidate: "c" }),
		reason("type.mismatch", "equal", "three", { device: "d", candidate: "c" }),
		reason("attribute.info", "info", "four"),
	];
	const left = override(found, [by({ source_host: "a" })]);
	expect(left.map(({ severity }) => severity)).toEqual(["warning", "warning", "warning", "warning", "warning"]);
	expect(left.at(-1)).toEqual({
		code: "override.used",
		severity: "warning",
		rule: "override",
		device: "d",
		candidate: "c",
		message: "jane overrides attribute.differs, type.mismatch until 2026-08-21T20:00:00Z: change 4711",
	});
});

test("an override that finds nothing says nothing, and a reason about no device stays so", () => {
	const found = [reason("agent.timeout", "snapshot", "late")];
	expect(override(found, [by({ code: "type.mismatch" })])).toEqual(found);
	expect(override(found, [by({ code: "agent.*" })])[1]).not.toHaveProperty("device");
});

test.each(["candidate.none", "capacity.exhausted", "request.invalid", "request.rate_limited"] as const)(
	"%s is a fact that nobody overrides",
	(code) => {
		const found = [reason(code, "match", "so it is")];
		expect(isOverridable(code)).toBe(false);
		expect(override(found, [by({}), by({ code })])).toEqual(found);
	},
);

test("a policy whose overrides are all in force is the policy: what was compared for it stays known", () => {
	const policy = { ...DEFAULT_POLICY, overrides: [by({ device: "d" }), by({ code: "x" })] };
	expect(inForce(policy, Date.parse("2026-08-21T10:00:00Z"))).toBe(policy);
	expect(inForce(policy, Date.parse("2026-08-21T20:00:00Z")).overrides).toEqual([]);
});

test.each(["agent.bad_reply", "agent.address", "agent.tls", "agent.identity"] as const)(
	"%s is never accepted, whoever says so",
	(code) => {
		const found = [reason(code, "snapshot", "a lie")];
		expect(isOverridable(code)).toBe(false);
		expect(override(found, [by({ code: "agent.*" }), by({ code })])).toEqual(found);
		const policy = { ...DEFAULT_POLICY, unknown: { "*": "accept", "agent.*": "accept", [code]: "accept" } } as const;
		expect(found.some((one) => isTolerated(one, policy))).toBe(false);
	},
);
