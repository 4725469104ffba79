import { expect, test } from "vitest";
import { DEFAULT_POLICY, type UnknownPolicy } from "../../src/compat/policy.ts";
import { reason } from "../../src/compat/reason.ts";
import { isStaleAccepted, isTolerated, STALE_CAUSES, TAMPERING } from "../../src/compat/unknown.ts";

/** code, what the policy says, whether an older snapshot of the host does */
const STALE: readonly (readonly [string, UnknownPolicy, boolean])[] = [
	["agent.timeout", {}, false],
	["agent.timeout", { "*": "accept" }, false],
	["agent.timeout", { "*": "accept_stale" }, true],
	["agent.timeout", { "agent.*": "accept_stale", "*": "reject" }, true],
	["agent.timeout", { "agent.timeout": "reject", "agent.*": "accept_stale" }, false],
	["agent.unreachable", { "agent.*": "accept_stale" }, true],
	["agent.unavailable", { "agent.*": "accept_stale" }, true],
	["snapshot.stale", { "snapshot.*": "accept_stale" }, true],
	["agent.tls", { "*": "accept_stale" }, false],
	["attribute.unreadable", { "*": "accept_stale" }, false],
];
test.each(STALE)("%s with %j: an older snapshot does: %s", (code, unknown, does) => {
	expect(isStaleAccepted(code, { ...DEFAULT_POLICY, unknown })).toBe(does);
});

test("where there is no older snapshot, accept_stale is reject", () => {
	const policy = { ...DEFAULT_POLICY, unknown: { "*": "accept_stale" } as const };
	expect(isTolerated(reason("agent.timeout", "r", "m"), policy)).toBe(false);
});

test("no older snapshot takes the place of what may be a lie", () => {
	expect([...STALE_CAUSES].filter((code) => TAMPERING.has(code))).toEqual([]);
});

/** What an agent has not read for a minute is nothing that is known of its host: to go by it is what accept_stale is for. */
const STALE_ACCEPT: readonly UnknownPolicy[] = [
	{ "*": "accept" },
	{ "snapshot.*": "accept" },
	{ "snapshot.stale": "accept" },
];
test.each(STALE_ACCEPT)("an agent that is stuck is never accepted: %j", (unknown) => {
	const policy = { ...DEFAULT_POLICY, unknown };
	expect(isTolerated(reason("snapshot.stale", "r", "m"), policy)).toBe(false);
	const ofClass = { ...DEFAULT_POLICY, classes: [{ name: "c", match: {}, unknown, rules: [] }] };
	expect(isTolerated(reason("snapshot.stale", "r", "m", { device_class: "c" }), ofClass)).toBe(false);
});
