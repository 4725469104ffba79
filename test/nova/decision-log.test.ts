import { expect, test } from "vitest";
import { conclude } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { type ReasonCode, reason, type Verdict } from "../../src/compat/reason.ts";
import { createLogger } from "../../src/log/logger.ts";
import { logDecision, logRanking } from "../../src/nova/decision-log.ts";
import { osloJson } from "../support/log.ts";

const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
const CONTEXT = { request_id: "req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42", project_id: "p1" };
const DEPARTURE = {
	instance_uuid: INSTANCE,
	source_host: "cmp-01",
	ports: [],
	announced: { count: 1, names: "", complete: true },
};

/** Everything that is logged, as a program reads it. */
function logged(write: (log: ReturnType<typeof createLogger>) => void) {
	const lines: string[] = [];
	write(createLogger("novacompat.test", false, (line) => lines.push(line), osloJson));
	return lines.map((line) => JSON.parse(line));
}

const decision = (verdict: Verdict, ...codes: readonly ReasonCode[]) =>
	conclude(
		verdict,
		codes.map((code) => reason(code, "test", `because of ${code}`)),
		DEFAULT_POLICY,
		[verdict, codes],
	);

/** verdict, reasons, level: who reads WARNING only must see what is not as it should be. */
const LEVELS: readonly (readonly [Verdict, readonly ReasonCode[], string])[] = [
	["accept", [], "INFO"],
	["accept", ["version.bugfix_downgrade"], "INFO"],
	["reject", ["version.minor_downgrade"], "INFO"],
	["conditional", ["dynamic.set"], "INFO"],
	["unknown", ["agent.timeout"], "WARNING"],
	["accept", ["override.used"], "WARNING"],
	["accept", ["snapshot.stale_used"], "WARNING"],
	["reject", ["version.minor_downgrade", "snapshot.stale_used"], "WARNING"],
];

test.each(LEVELS)("%s because of %j is logged at %s", (verdict, codes, level) => {
	const made = decision(verdict, ...codes);
	const ranked = { host: "cmp-02", bugfix: null, free_capacity: 1, ...made };
	const measured = { duration: 12.34567, snapshotAge: 2.34567 };
	const lines = logged((log) => {
		logDecision(log, made, { ...DEPARTURE, dest_host: "cmp-02" }, CONTEXT, measured);
		const ranking = { verdicts: { [verdict]: 1 }, hosts: [ranked] };
		logRanking(log, { ...DEPARTURE, dest_hosts: ["cmp-02"] }, ranking, CONTEXT, measured);
	});
	const common = { check_id: made.id, verdict, allowed: verdict === "accept", reason_codes: codes };
	const hosts = { src_host: "cmp-01", dst_host: "cmp-02", instance: INSTANCE, snapshot_age_s: 2.346 };
	expect(lines).toMatchObject([
		{ levelname: level, extra: { ...common, ...hosts, duration_ms: 12.346 }, context: CONTEXT },
		{ levelname: level, extra: { ...common, ...hosts, hosts: 1 }, context: CONTEXT },
	]);
	expect(lines[0].message).toContain(`live migration cmp-01 -> cmp-02: ${verdict}`);
});

test("a request that names nothing is logged all the same", () => {
	const [line] = logged((log) => logDecision(log, decision("unknown", "request.invalid"), {}, {}));
	expect(line).toMatchObject({ levelname: "WARNING", context: {}, extra: { reason_codes: ["request.invalid"] } });
	expect(line.message).toMatch(/^live migration: unknown \(refused by policy\) \[/);
});

test("a ranking of no host", () => {
	const [line] = logged((log) => logRanking(log, { ...DEPARTURE, dest_hosts: [] }, { verdicts: {}, hosts: [] }, {}));
	expect(line).toMatchObject({
		levelname: "INFO",
		message: "live migration cmp-01 -> best of 0: ",
		extra: { hosts: 0 },
	});
});
