import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { conclude, type Decision } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { type Reason, reason } from "../../src/compat/reason.ts";
import { RemoteError, RpcFailure } from "../../src/messaging/errors.ts";
import { failureReply, newId, resultReply } from "../../src/messaging/message.ts";
import { MAX_REPLY_BYTES, type Told, told, toldText } from "../../src/nova/reply-size.ts";
import { startService } from "../support/service.ts";

const sizeOf = (decision: Decision) => resultReply(newId(), decision).length;
/** As nova/methods.ts makes it of a rejection. */
const failure = (text: string) =>
	failureReply(newId(), new RpcFailure("MigrationPreCheckError", "nova.exception", text, [text], { reason: text }));

const rejected = (reasons: readonly Reason[]) => conclude("reject", reasons, DEFAULT_POLICY, "question");
const differs = (text: string, index: number) =>
	reason("attribute.differs", "equal", `a ${text} ${index}`, {
		device: "d",
		attribute: "a",
		source: text,
		target: "x",
	});

describe("SEC-05: a reply about one check", () => {
	test("is whole as long as it fits, and says how many reasons are missing when it does not", () => {
		const reasons = Array.from({ length: 5_000 }, (_, index) => differs("text", index));
		const whole = rejected(reasons.slice(0, 200));
		expect(told(whole)).toBe(whole);
		const decision = rejected(reasons);
		const { left_out, ...rest } = told(decision) as Told;
		expect(rest).toEqual({ ...decision, reasons: decision.reasons.slice(0, rest.reasons.length) });
		expect(left_out).toEqual({ reasons: reasons.length - rest.reasons.length });
		expect(sizeOf(told(decision))).toBeLessThanOrEqual(MAX_REPLY_BYTES);
		expect(sizeOf(told(decision))).toBeGreaterThan(MAX_REPLY_BYTES * 0.8);
	});

	test("Nova's failure has as many messages as there is room for, and says how many more there are", () => {
		const decision = rejected(Array.from({ length: 5_000 }, (_, index) => differs("text", index)));
		expect(toldText(rejected([differs("text", 0)]))).toBe("a text 0");
		expect(toldText(decision)).toMatch(/^a text 0; a text 1; .* \(\+\d+ more\)$/);
		expect(failure(toldText(decision)).length).toBeLessThanOrEqual(MAX_REPLY_BYTES);
		expect(failure(toldText(decision)).length).toBeGreaterThan(MAX_REPLY_BYTES * 0.3);
	});

	test("Nova's failure is one line, whatever hosts have for names and values", () => {
		const differing = ["agg\n\u001b[31m", "\u2028"].map(differs);
		expect(toldText(rejected(differing))).toBe(String.raw`a agg\u000a\u001b[31m 0; a \u2028 1`);
	});

	test("whatever is in the texts", () => {
		const unit = fc.constantFrom("a", '"', "\\", "\u0001", "\u2028", "é", "😀", "\ud800", "\n");
		const text = fc.string({ unit, maxLength: 300 }).map((part) => part.repeat(10));
		fc.assert(
			fc.property(fc.array(text, { minLength: 1, maxLength: 80 }), (texts) => {
				const decision = rejected(texts.map(differs));
				expect(sizeOf(told(decision))).toBeLessThanOrEqual(MAX_REPLY_BYTES);
				expect(failure(toldText(decision)).length).toBeLessThanOrEqual(MAX_REPLY_BYTES);
			}),
			{ numRuns: 100 },
		);
	});
});

describe("SEC-05: of the service", () => {
	const HOSTS = ["test_compute0", "test_compute1"];
	const request = { instance_uuid: newId(), source_host: "test_compute0", dest_host: "test_compute1" };
	const long = "x".repeat(MAX_REPLY_BYTES);
	let service: Awaited<ReturnType<typeof startService>>;
	beforeAll(async () => {
		service = await startService(HOSTS, { max_checks_per_second_per_host: 0 });
	});
	afterAll(() => service.stop());
	const call = async (method: string, args: Readonly<Record<string, unknown>>, more = {}) => {
		const target = { exchange: "nova", topic: "migration_compat", ...more };
		return await service.client.call(target, method, args, { timeout: 20 }).catch((error: unknown) => error);
	};

	test("a check of 1,024 devices is answered, and says what was left out", async () => {
		const devices = Array.from({ length: 1_024 }, (_, index) => `device-${index}`);
		const decision = (await call("check_live_migration", { request: { ...request, devices } })) as Told;
		expect(decision).toMatchObject({ verdict: "unknown", allowed: false });
		expect(decision.left_out?.reasons).toBe(devices.length - decision.reasons.length);
		expect(sizeOf(decision)).toBeLessThanOrEqual(MAX_REPLY_BYTES);
	});

	/** what is asked, what becomes of an answer that would be too long */
	const LONG: readonly (readonly [what: string, () => Promise<unknown>, excType: string, value: RegExp])[] = [
		[
			"an echo",
			() => call("ping", { arg: long }, { namespace: "baseapi", version: "1.1" }),
			"ValueError",
			/^the reply would have \d+ bytes, expected at most 65536: ask for less$/,
		],
		[
			"a failure with the name of an argument",
			() => call("check_live_migration", { request, [long]: 1 }),
			"TypeError",
			/^the failure would have \d+ bytes, expected at most 65536$/,
		],
		["a failure with the name of a method", () => call(long, {}), "NoSuchMethod", /^the failure would have \d+ bytes/],
	];
	test.each(LONG)("%s is none", async (_what, answer, excType, value) => {
		const error = await answer();
		expect(error).toBeInstanceOf(RemoteError);
		expect(error).toMatchObject({ excType, value: expect.stringMatching(value) });
	});

	test("a ranking tells every host, of which the scheduler's filter leaves out those that are rejected", async () => {
		const dest_hosts = Array.from({ length: 1_024 }, (_, index) => `host-${index}`);
		const ranking = await call("rank_destinations", { request: { ...request, dest_hosts } }, { version: "1.1" });
		expect(resultReply(newId(), ranking).length).toBeGreaterThan(4 * MAX_REPLY_BYTES);
		expect((ranking as { readonly hosts: readonly unknown[] }).hosts).toHaveLength(dest_hosts.length);
	});
});
