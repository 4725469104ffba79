import { expect, test } from "vitest";
import { decide } from "../../src/compat/decide.ts";
import { DEFAULT_POLICY, type Policy, type UnknownPolicy } from "../../src/compat/policy.ts";
import { reason } from "../../src/compat/reason.ts";
import { isStaleAccepted, isTolerated, STALE_CAUSES, TAMPERING } from "../../src/compat/unknown.ts";
import { mdev } from "../support/devices.ts";

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

test.each([1, 2])("of what nobody can tell that is taken first which the policy lets pass: %i devices", (count) => {
	const policy: Policy = { ...DEFAULT_POLICY, unknown: { "attribute.*": "accept" } };
	const devices = ["s1", "s2"].slice(0, count).map((id) => mdev(id, {}));
	const silent = mdev("a", {}, { kind: "mdev_type", capacity: 2 });
	const hidden = { ...silent, id: "b", unreadable: { software_version: "EIO", interface_version: "EIO" } };
	const asked = { source_host: "cmp-01", target_host: "cmp-02", devices, policy };
	expect(decide({ ...asked, candidates: [silent] })).toMatchObject({ verdict: "unknown", allowed: false });
	expect(decide({ ...asked, candidates: [hidden] })).toMatchObject({ verdict: "unknown", allowed: true });
	expect(decide({ ...asked, candidates: [silent, hidden] })).toMatchObject({ verdict: "unknown", allowed: true });
});
