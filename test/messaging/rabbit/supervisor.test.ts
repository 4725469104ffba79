import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Supervised, supervise } from "../../../src/messaging/rabbit/supervisor.ts";
import { recordingLog } from "../../support/log.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.restoreAllMocks().useRealTimers());

const REFUSED = "refused: wrong password";

interface Attempt {
	readonly place: string;
	readonly at: number;
}

interface Script {
	readonly places?: readonly string[];
	readonly strategy?: Supervised<string>["strategy"];
	/** What an attempt brings: for how many milliseconds it is up, or why it fails. */
	readonly outcome: (attempt: number, place: string) => number | string;
}

/** Runs the loop over a script; time passes only when a test says so. */
function run({ places = ["a"], strategy = "round-robin", outcome }: Script) {
	const attempts: Attempt[] = [];
	const stop = new AbortController();
	const { log, lines } = recordingLog();
	const start = performance.now();
	const done = supervise({
		places,
		strategy,
		nameOf: (place) => `rabbit ${place}`,
		open: async (place) => {
			attempts.push({ place, at: performance.now() - start });
			const result = outcome(attempts.length, place);
			if (typeof result === "string") throw new Error(result);
			const lost = new AbortController();
			setTimeout(() => lost.abort(new Error("gone")), result);
			return lost.signal;
		},
		explain: (error) => {
			const { message: text } = error as Error;
			return { text, refused: text.startsWith("refused") };
		},
		log,
		stop: stop.signal,
	});
	onTestFinished(async () => {
		stop.abort();
		await done;
	});
	return { attempts, lines, stop, done };
}

/** Milliseconds between the attempts. */
function gaps(attempts: readonly Attempt[]): number[] {
	return attempts.slice(1).map(({ at }, index) => at - (attempts[index]?.at ?? 0));
}

/** Jitter at its shortest, at its longest, or as it comes; the order of the places is kept. */
function jitter(random: number) {
	vi.spyOn(Math, "random").mockReturnValue(random);
}

describe("the places", () => {
	test("round-robin: all of a round before backing off, and on from there", async () => {
		jitter(0.999);
		const { attempts } = run({ places: ["a", "b", "c"], outcome: () => "down" });
		await vi.advanceTimersByTimeAsync(2_000);
		expect(attempts.map(({ place }) => place).slice(0, 6)).toEqual(["a", "b", "c", "a", "b", "c"]);
		expect(gaps(attempts).slice(0, 5)).toEqual([200, 200, expect.closeTo(500, -1), 200, 200]);
	});

	test("after a loss the next one is tried first", async () => {
		jitter(0);
		const { attempts } = run({ places: ["a", "b"], outcome: (attempt) => (attempt === 1 ? 60_000 : "down") });
		await vi.advanceTimersByTimeAsync(61_000);
		expect(attempts.slice(0, 3).map(({ place }) => place)).toEqual(["a", "b", "a"]);
	});

	/** strategy, how many orders of three places a hundred rounds have */
	const ORDERS = [
		["round-robin", 1],
		["shuffle", 6],
	] as const;
	test.each(ORDERS)("%s: a hundred rounds have %d order(s), each place once in a round", async (strategy, orders) => {
		const { attempts } = run({ places: ["a", "b", "c"], strategy, outcome: () => "down" });
		await vi.advanceTimersByTimeAsync(1_000_000);
		const rounds = Array.from({ length: 100 }, (_, round) =>
			attempts.slice(round * 3, round * 3 + 3).map(({ place }) => place),
		);
		for (const round of rounds) expect(round.toSorted()).toEqual(["a", "b", "c"]);
		expect(new Set(rounds.map((round) => round.join(""))).size).toBe(orders);
	});

	test("row 21: not all processes begin with the same one", async () => {
		const first = new Set<string | undefined>();
		for (let process = 0; process < 100; process++) {
			first.add(run({ places: ["a", "b", "c"], outcome: () => 60_000 }).attempts[0]?.place);
		}
		expect([...first].toSorted()).toEqual(["a", "b", "c"]);
	});
});

describe("the delay", () => {
	/** what happens, jitter, milliseconds between the first attempts */
	const DELAYS: readonly (readonly [string, outcome: number | string, random: number, between: readonly number[]])[] = [
		["nothing is there, the longest delays", "down", 1, [500, 1_000, 2_000, 4_000, 4_000]],
		["nothing is there, the shortest delays", "down", 0, [200, 200, 200, 200, 200]],
		["refused, the longest delays", REFUSED, 1, [8_000, 8_000, 8_000, 8_000]],
		["refused, the shortest delays", REFUSED, 0, [5_000, 5_000, 5_000]],
		["up and lost at once, the longest delays", 0, 1, [500, 1_000, 2_000, 4_000, 4_000]],
		["up and lost at once, the shortest delays", 0, 0, [200, 200, 200]],
		["up for long each time", 10_000, 1, [10_500, 10_500, 10_500]],
		["up for not so long", 9_000, 1, [9_500, 10_000, 11_000, 13_000]],
	];
	test.each(DELAYS)("%s", async (_what, outcome, random, between) => {
		jitter(random);
		const { attempts } = run({ outcome: () => outcome });
		await vi.advanceTimersByTimeAsync(200_000);
		const measured = gaps(attempts).slice(0, between.length);
		for (const [index, gap] of measured.entries()) expect(gap).toBeCloseTo(between[index] ?? 0, -1);
	});

	test("rows 1, 16, 21: over a thousand attempts: 0.2 to 4 s, refused 5 to 8 s, spread", async () => {
		const [away, refused] = [run({ outcome: () => "down" }), run({ outcome: () => REFUSED })];
		await vi.advanceTimersByTimeAsync(30_000_000);
		for (const [{ attempts }, shortest, longest] of [
			[away, 200, 4_000],
			[refused, 5_000, 8_000],
		] as const) {
			const measured = gaps(attempts).slice(10, 1_010);
			expect(measured).toHaveLength(1_000);
			expect(Math.min(...measured)).toBeGreaterThanOrEqual(shortest - 1);
			expect(Math.max(...measured)).toBeLessThanOrEqual(longest + 1);
			expect(new Set(measured.map(Math.round)).size).toBeGreaterThan(500);
		}
	});

	test("P7: what has been refused for long is tried so soon that it is back 10 s after somebody has changed that", async () => {
		jitter(1);
		const { attempts } = run({ outcome: () => REFUSED });
		await vi.advanceTimersByTimeAsync(1_000_000);
		// The rest is for connecting.
		expect(Math.max(...gaps(attempts))).toBeLessThanOrEqual(8_001);
	});

	test.each([1, 2, 20])("row 21: never more than five attempts in a second with %d places", async (count) => {
		jitter(0);
		const places = Array.from({ length: count }, (_, index) => String(index));
		// Up or down, an attempt takes no time at all.
		const { attempts } = run({ places, outcome: (attempt) => (attempt % 3 === 0 ? 0 : "down") });
		await vi.advanceTimersByTimeAsync(60_000);
		expect(attempts.length).toBeGreaterThan(100);
		for (const { at } of attempts) {
			const second = attempts.filter((other) => other.at >= at && other.at < at + 1_000);
			expect(second.length).toBeLessThanOrEqual(5);
		}
	});

	test("one place that refuses does not slow down the others", async () => {
		jitter(1);
		const { attempts } = run({ places: ["a", "b"], outcome: (_attempt, place) => (place === "a" ? REFUSED : "down") });
		await vi.advanceTimersByTimeAsync(60_000);
		expect(Math.max(...gaps(attempts))).toBeLessThanOrEqual(4_001);
	});
});

describe("the log", () => {
	test("row 1: a loss is one warning: where, why, when next", async () => {
		jitter(0);
		const { lines } = run({ outcome: (attempt) => (attempt === 1 ? 60_000 : 1_000_000) });
		await vi.advanceTimersByTimeAsync(70_000);
		expect(lines).toHaveLength(1);
		expect(lines[0]).toContain(" WARNING ");
		expect(lines[0]).toMatch(/rabbit a: gone; next attempt in 0\.1 s\n$/);
	});

	test("row 16: a refusal is an error", async () => {
		jitter(0);
		const { lines } = run({ outcome: () => REFUSED });
		await vi.advanceTimersByTimeAsync(100);
		expect(lines[0]).toContain(" ERROR ");
		expect(lines[0]).toMatch(/rabbit a: refused: wrong password; next attempt in 5\.0 s\n$/);
	});
});

describe("stop", () => {
	/** when, what the place does */
	const MOMENTS: readonly (readonly [string, outcome: number | string])[] = [
		["while something is up", 60_000],
		["while backing off", "down"],
	];
	test.each(MOMENTS)("%s ends the loop at once and silently", async (_when, outcome) => {
		jitter(1);
		const { attempts, lines, stop, done } = run({ outcome: () => outcome });
		await vi.advanceTimersByTimeAsync(300);
		const before = [attempts.length, lines.length];
		stop.abort();
		await done;
		await vi.advanceTimersByTimeAsync(100_000);
		expect([attempts.length, lines.length]).toEqual(before);
	});

	test("before the start: nothing is tried", async () => {
		const stopped = AbortSignal.abort();
		const open = vi.fn();
		const { log } = recordingLog();
		const explain = () => ({ text: "", refused: false });
		await supervise({ places: ["a"], strategy: "shuffle", nameOf: String, open, explain, log, stop: stopped });
		expect(open).not.toHaveBeenCalled();
	});
});
