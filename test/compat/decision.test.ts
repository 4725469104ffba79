import { describe, expect, test } from "vitest";
import { allows } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY, type UnknownPolicy } from "../../src/compat/policy.ts";
import { type Reason, type ReasonCode, reason, type Verdict } from "../../src/compat/reason.ts";

const of = (code: ReasonCode, severity?: Reason["severity"]) => reason(code, "r", "m", severity && { severity });
const lenient: UnknownPolicy = { "agent.timeout": "accept", "opaque.differs": "accept" };
const used = of("override.used");

describe("what a verdict means for Nova", () => {
	/** verdict, what is tolerated, reasons, whether the migration may go on */
	const TABLE: readonly (readonly [Verdict, UnknownPolicy, readonly Reason[], boolean])[] = [
		["accept", {}, [], true],
		["accept", {}, [of("version.source_newer")], true],
		["reject", { "*": "accept" }, [of("type.mismatch")], false],
		["conditional", { "*": "accept" }, [of("dynamic.set")], false],
		["unknown", {}, [of("agent.timeout")], false],
		["unknown", lenient, [of("agent.timeout")], true],
		["unknown", lenient, [of("agent.timeout"), of("opaque.differs")], true],
		["unknown", lenient, [of("agent.timeout"), of("attribute.unreadable")], false],
		["unknown", lenient, [of("agent.timeout"), of("version.source_newer")], true],
		["unknown", lenient, [of("agent.timeout"), of("dynamic.set")], false],
		["unknown", { "*": "accept" }, [], false],
		["unknown", { "*": "accept" }, [of("version.source_newer")], false],
		["unknown", {}, [of("agent.unreachable", "warning"), used], true],
		["unknown", {}, [of("agent.unreachable"), used], false],
	];
	test.each(TABLE)("%s, tolerated %j, %j: %s", (verdict, unknown, reasons, allowed) => {
		expect(allows({ ...DEFAULT_POLICY, unknown }, verdict, reasons)).toBe(allowed);
	});
});
