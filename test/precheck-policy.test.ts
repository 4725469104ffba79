import { describe, expect, test } from "vitest";
import { inForce } from "../src/compat/override.ts";
import { DEFAULT_POLICY, type Override, type Policy } from "../src/compat/policy.ts";
import { createPrecheck } from "../src/precheck.ts";
import { createRanking } from "../src/ranking.ts";
import { SnapshotError, type SnapshotSource } from "../src/snapshot/source.ts";

const NOW = Date.parse("2026-08-21T12:00:00Z");
const override = (scope: Override["scope"]): Override => ({
	author: "jane",
	reason: "agents' CA expired",
	created: "2026-08-21T10:00:00Z",
	expires: "2026-08-21T20:00:00Z",
	scope,
});

function ask(code: SnapshotError["code"], changes: Partial<Policy>) {
	const silent: SnapshotSource = { fetch: (host) => Promise.reject(new SnapshotError(code, `${host} is silent`)) };
	const policy = () => inForce({ ...DEFAULT_POLICY, ...changes }, NOW);
	const departure = {
		instance_uuid: "i",
		source_host: "a",
		ports: [],
		announced: { count: 1, names: "x", complete: true },
	};
	const options = { signal: new AbortController().signal, request_id: "r" };
	return {
		precheck: () => createPrecheck(silent, policy)({ ...departure, dest_host: "b" }, options),
		ranking: () => createRanking(silent, policy)({ ...departure, dest_hosts: ["b"] }, options),
	};
}

describe("an agent that does not answer", () => {
	/** code, what the policy says, whether the migration may go on */
	const ANSWERS: readonly (readonly [SnapshotError["code"], Partial<Policy>, boolean])[] = [
		["agent.timeout", {}, false],
		["agent.timeout", { unknown: { "agent.timeout": "accept" } }, true],
		["agent.timeout", { unknown: { "agent.*": "accept" } }, true],
		["agent.unreachable", { unknown: { "agent.timeout": "accept" } }, false],
		["agent.timeout", { overrides: [override({ code: "agent.*" })] }, true],
		["agent.timeout", { overrides: [override({ target_host: "b", code: "agent.timeout" })] }, true],
		["agent.timeout", { overrides: [override({ target_host: "c" })] }, false],
		["agent.timeout", { overrides: [override({ device: "d" })] }, false],
		["snapshot.stale", { unknown: { "*": "accept" } }, false],
		["snapshot.stale", { unknown: { "snapshot.stale": "accept" } }, false],
		["snapshot.stale", { overrides: [override({ code: "snapshot.stale" })] }, true],
		["agent.identity", { unknown: { "*": "accept" }, overrides: [override({ source_host: "a" })] }, false],
		["agent.bad_reply", { unknown: { "agent.*": "accept" }, overrides: [override({ code: "agent.*" })] }, false],
	];
	test.each(ANSWERS)("%s with %j: %s", async (code, changes, allowed) => {
		expect(await ask(code, changes).precheck()).toMatchObject({ verdict: "unknown", allowed });
		expect((await ask(code, changes).ranking()).hosts).toMatchObject([{ host: "b", verdict: "unknown", allowed }]);
	});

	test("an override shows itself beside what it overrides", async () => {
		const { reasons } = await ask("agent.timeout", { overrides: [override({ code: "agent.timeout" })] }).precheck();
		expect(reasons.map(({ code, severity }) => `${severity} ${code}`)).toEqual([
			"warning agent.timeout",
			"warning agent.timeout",
			"warning override.used",
		]);
	});
});
