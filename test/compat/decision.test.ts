import { describe, expect, test } from "vitest";
import { allows, annotate, conclude } from "../../src/compat/decision.ts";
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

describe("what a decision says in addition", () => {
	const decision = conclude("accept", [of("version.source_newer")], DEFAULT_POLICY, "question");

	test("changes nothing but its reasons and its text", () => {
		const note = reason("snapshot.stale_used", "snapshot", "decided with what was known before");
		const annotated = annotate(decision, [note]);
		expect(annotated).toEqual({ ...decision, reasons: annotated.reasons, text: annotated.text });
		expect(annotated.reasons.map(({ code }) => code)).toEqual(["snapshot.stale_used", "version.source_newer"]);
		expect(annotated.text).toBe(`accept; decided with what was known before; m [${decision.id}]`);
	});

	test("is nothing when there is nothing to say", () => expect(annotate(decision, [])).toBe(decision));
});
