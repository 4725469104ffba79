import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Breaker } from "../../src/snapshot/breaker.ts";
import { SnapshotError } from "../../src/snapshot/source.ts";

const DOWN = new SnapshotError("agent.unreachable", "the agent of a cannot be reached (ECONNREFUSED)");

describe("Breaker", () => {
	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["performance"] });
		// The process has been running for a while.
		vi.advanceTimersByTime(60_000);
	});
	afterEach(() => void vi.useRealTimers());
	const later = (milliseconds: number) => vi.advanceTimersByTime(milliseconds);

	test("a failure is told again for two seconds, with its age, and of that host only", () => {
		const breaker = new Breaker();
		expect(breaker.refusal("a")).toBeUndefined();
		expect(breaker.failed("a", DOWN)).toBe(false);
		later(1_500);
		expect(breaker.refusal("a")).toMatchObject({
			code: DOWN.code,
			message: `${DOWN.message}, asked 1.5 s ago`,
			cause: DOWN,
		});
		expect(breaker.refusal("b")).toBeUndefined();
		later(500);
		expect(breaker.failing()).toMatchObject([{ host: "a", state: "closed" }]);
		// It is not open: whoever comes may ask.
		for (const _ of [1, 2]) expect(breaker.refusal("a")).toBeUndefined();
	});

	test("its age is none of what failed", () => {
		const breaker = new Breaker();
		breaker.failed(
			"a",
			new SnapshotError("agent.tls", "the agent of a cannot be trusted: its certificate has expired"),
		);
		later(1_000);
		expect(breaker.refusal("a")?.message).toBe(
			"the agent of a cannot be trusted: its certificate has expired, asked 1.0 s ago",
		);
	});

	test("it opens after three failures in ten seconds; then one in five to six seconds may ask", () => {
		const breaker = new Breaker();
		expect([1, 2, 3].map(() => breaker.failed("a", DOWN))).toEqual([false, false, true]);
		later(4_999);
		expect(breaker.refusal("a")?.message).toMatch(/, asked 5\.0 s ago$/);
		later(1_001);
		expect(breaker.refusal("a")).toBeUndefined();
		expect(breaker.refusal("a")?.message).toMatch(/, asked 6\.0 s ago$/);
		later(6_000);
		expect(breaker.refusal("a")).toBeUndefined();
	});

	test("it tells who failed, how and when, and whether anybody is asked", () => {
		const breaker = new Breaker();
		for (const host of ["a", "a", "a", "b"]) breaker.failed(host, DOWN);
		later(1_000);
		breaker.failed("c", DOWN);
		breaker.failed("d", DOWN);
		breaker.answered("d");
		later(1_500);
		expect(breaker.failing().map(({ host, state, age }) => [host, state, age])).toEqual([
			["c", "quiet", 1.5],
			["b", "closed", 2.5],
			["a", "open", 2.5],
		]);
	});

	test("failures that are far apart do not open it", () => {
		const breaker = new Breaker();
		const opened = [1, 2, 3, 4].map(() => {
			later(5_000);
			return breaker.failed("a", DOWN);
		});
		expect(opened).toEqual([false, false, false, false]);
	});

	test("an answer closes it", () => {
		const breaker = new Breaker();
		for (const _ of [1, 2, 3]) breaker.failed("a", DOWN);
		breaker.answered("a");
		expect(breaker.refusal("a")).toBeUndefined();
		expect(breaker.failed("a", DOWN)).toBe(false);
	});

	test("the probes of many hosts are spread over a second", () => {
		const breaker = new Breaker();
		const hosts = Array.from({ length: 200 }, (_value, index) => `h${index}`);
		for (const host of hosts) for (const _ of [1, 2, 3]) breaker.failed(host, DOWN);
		const asked = (milliseconds: number) => {
			later(milliseconds);
			return hosts.filter((host) => breaker.refusal(host) === undefined).length;
		};
		const spread = (shares: readonly number[]) => {
			expect(shares.reduce((sum, share) => sum + share)).toBe(200);
			for (const share of shares) expect(share).toBeGreaterThan(20);
		};
		spread([asked(5_250), asked(250), asked(500)]);
		later(6_000);
		// Those that nobody asked since then are asked at once, and then, as long as they do not answer, not together.
		expect(asked(0)).toBe(200);
		expect(asked(4_999)).toBe(0);
		spread([asked(251), asked(250), asked(500)]);
	});
});
