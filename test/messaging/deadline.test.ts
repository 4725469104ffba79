import { describe, expect, onTestFinished, test, vi } from "vitest";
import { callBudget, Deadline } from "../../src/messaging/deadline.ts";
import { RemoteError, valueError } from "../../src/messaging/errors.ts";
import { gate } from "../support/gate.ts";
import { ownTime } from "../support/own-time.ts";
import { serve, TARGET } from "./serving.ts";

describe("the time of a call", () => {
	/** expiration of the message, maxCallTime in ms, budget in ms (row 39) */
	const BUDGETS: readonly (readonly [expiration: string | undefined, maxCallTime: number, budget: number])[] = [
		["60000", 15_000, 15_000],
		["20000", 15_000, 10_000],
		["1800000", 15_000, 15_000],
		["1", 15_000, 0.5],
		[undefined, 15_000, 15_000],
		["", 15_000, 15_000],
		["0", 15_000, 15_000],
		["-1", 15_000, 15_000],
		["abc", 15_000, 15_000],
		["1e3", 15_000, 15_000],
		["500.5", 15_000, 15_000],
		["1000000000000", 15_000, 15_000],
	];
	test.each(BUDGETS)("row 39: expiration %j, at most %d ms: %d ms", (expiration, maxCallTime, budget) => {
		expect(callBudget(expiration, maxCallTime)).toBe(budget);
	});

	test("who asks when the time is over already is told at once", async () => {
		vi.useFakeTimers();
		onTestFinished(() => void vi.useRealTimers());
		const deadline = new Deadline(1_000);
		vi.advanceTimersByTime(1_000);
		const act = vi.fn();
		deadline.whenTimeUp(act);
		expect(act).toHaveBeenCalledOnce();
		expect(deadline.timeUp.aborted).toBe(true);
		expect(await deadline.within(new Promise(() => undefined))).toBeUndefined();
	});

	test("row 20: the signal of the method is aborted within half of the caller's time, before the caller gives up", async () => {
		const { call } = await serve(
			(_args, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("in time"))),
		);
		const start = performance.now();
		expect(await call({}, 4)).toBe("in time");
		expect(performance.now() - start).toBeLessThan(4_000);
	});

	test("maxCallTime holds for callers who wait longer", async () => {
		const { call } = await serve(
			(_args, { signal }) => new Promise((resolve) => signal.addEventListener("abort", () => resolve("in time"))),
			{ maxCallTime: 0.2 },
		);
		const start = performance.now();
		expect(await call({}, 60)).toBe("in time");
		expect(performance.now() - start).toBeLessThan(10_000);
	});

	/** What ignores its signal, and when it ends. */
	const never = () => new Promise<never>(() => undefined);

	test("row 20: a method that ignores its signal is answered for within the budget, and what it comes to is dropped", async () => {
		const slow = gate();
		const { send, request, reply, replies, server, lines } = await serve(() => slow.opened, { maxCallTime: 2 });
		const passed = ownTime();
		await send(request());
		const { failure } = await reply(0);
		expect(passed()).toBeLessThan(2_000);
		expect(JSON.parse(String(failure))).toMatchObject({
			class: "InternalError",
			module: "novacompat",
			message: "m() was not finished in time",
		});
		slow.open("late");
		await server.stop();
		expect(replies()).toHaveLength(1);
		expect(lines.filter((line) => line.includes("m on compute.host-a was not finished in time"))).toHaveLength(1);
	});

	test("row 20: a rejection that comes too late harms nobody", async () => {
		const late = gate();
		const { call } = await serve(
			async ({ x }) => {
				if (x === "quick") return "ok";
				await late.opened;
				throw new Error("too late");
			},
			{ maxCallTime: 0.2 },
		);
		await expect(call()).rejects.toThrow("not finished in time");
		late.open();
		expect(await call({ x: "quick" })).toBe("ok");
	});

	test("row 20: the method says what is answered for it", async () => {
		const { call } = await serve(never, { maxCallTime: 0.2, onTimeUp: ({ x }, { context }) => [x, context] });
		expect(await call({ x: 1 })).toEqual([1, "none"]);
		const { call: refused } = await serve(never, {
			maxCallTime: 0.2,
			onTimeUp: () => {
				throw valueError("no time");
			},
		});
		await expect(refused()).rejects.toThrow(
			new RemoteError("ValueError", "builtins", "no time", { args: ["no time"] }),
		);
	});

	test("row 20: a method that obeys its signal has time to say something of its own", async () => {
		const { call } = await serve(
			(_args, { signal }) =>
				new Promise((resolve) => signal.addEventListener("abort", () => setTimeout(resolve, 20, "my own"))),
			{ maxCallTime: 2, onTimeUp: () => "the server's" },
		);
		expect(await call()).toBe("my own");
	});

	/** The topic's own queue: what waits there was handed out, while a call by name has its slot. */
	const { server: _name, ...TOPIC } = { ...TARGET, version: "6.0" };

	test("row 20: waiting for a slot is part of the time: a call that got none is answered, and its method not begun", async () => {
		const [seen, started]: [unknown[], ReturnType<typeof gate>] = [[], gate()];
		const { call, client, lines } = await serve(
			({ x }) => {
				seen.push(x);
				started.open();
				return never();
			},
			{ maxInFlight: 1, maxCallTime: 3, onTimeUp: () => "no time" },
		);
		const first = call({ x: 1 }, 10);
		await started.opened;
		// Later than that it would have got none.
		expect(await client.call(TOPIC, "m", { x: 2 }, { timeout: 3 })).toBe("no time");
		expect(await first).toBe("no time");
		expect(seen).toEqual([1]);
		expect(lines.filter((line) => line.includes("m on compute.host-a was not begun in time"))).toHaveLength(1);
	});

	test("a cast waits for its slot as long as it takes", async () => {
		const [seen, started]: [unknown[], ReturnType<typeof gate>] = [[], gate()];
		const { client, call } = await serve(
			async ({ x }, { signal }) => {
				seen.push([x, signal.aborted]);
				started.open();
				return x === "slow" ? never() : null;
			},
			{ maxInFlight: 1, maxCallTime: 0.4, onTimeUp: () => "no time" },
		);
		const slow = call({ x: "slow" });
		await started.opened;
		await client.cast(TOPIC, "m", { x: "cast" });
		expect(await slow).toBe("no time");
		await expect
			.poll(() => seen)
			.toEqual([
				["slow", false],
				["cast", false],
			]);
	});

	test("row 20: methods that never end do not pile up: twice maxInFlight, and no more is begun", async () => {
		let begun = 0;
		const { call } = await serve(
			() => {
				begun++;
				return never();
			},
			{ maxInFlight: 2, maxCallTime: 0.2, onTimeUp: () => "no time" },
		);
		for (let round = 0; round < 4; round++) {
			expect(await Promise.all(Array.from({ length: 4 }, () => call()))).toEqual(Array(4).fill("no time"));
		}
		expect(begun).toBe(4);
	});

	test("row 20: when one of them ends there is room again", async () => {
		const stuck = gate();
		const { call } = await serve(({ x }) => (x === "ok" ? Promise.resolve(x) : stuck.opened), {
			maxInFlight: 1,
			maxCallTime: 0.2,
			onTimeUp: () => "no time",
		});
		for (const x of [1, 2]) expect(await call({ x })).toBe("no time");
		expect(await call({ x: "ok" })).toBe("no time");
		stuck.open();
		expect(await call({ x: "ok" })).toBe("ok");
	});
});
