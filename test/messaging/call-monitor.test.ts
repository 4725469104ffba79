import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { heartbeatInterval, keepWaiting } from "../../src/messaging/call-monitor.ts";
import { toJson } from "../../src/messaging/json.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { readRequest } from "../../src/messaging/message.ts";
import { gate } from "../support/gate.ts";
import { serve, TARGET } from "./serving.ts";

describe.concurrent("heartbeats", () => {
	/** `_timeout` of the request, milliseconds between heartbeats (row 38: as oslo's int() and half of it) */
	const INTERVALS: readonly (readonly [timeout: unknown, interval: number | undefined])[] = [
		[60, 30_000],
		[4, 2_000],
		[2, 1_000],
		[2.9, 1_000],
		[3, 1_500],
		["60", 30_000],
		["2", 1_000],
		[1e9, 5e11],
		[Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
		[1, undefined],
		[0, undefined],
		[0.5, undefined],
		[-1, undefined],
		[-60, undefined],
		["1", undefined],
		["x", undefined],
		["2.9", undefined],
		["", undefined],
		[null, undefined],
		[undefined, undefined],
		[true, undefined],
		[[60], undefined],
		[{}, undefined],
		[Number.NaN, undefined],
		[99999999999999999999n, 5e22],
		[-99999999999999999999n, undefined],
		[[99999999999999999999n], undefined],
		[" 4 ", 2_000],
		["\t+2\n", 1_000],
		["0_2", 1_000],
		["9999999999", 4_999_999_999_500],
		["9".repeat(4_300), Number.POSITIVE_INFINITY],
		["9".repeat(4_301), undefined],
		["-4", undefined],
		["_4", undefined],
		["4_", undefined],
		["0x4", undefined],
		["4 4", undefined],
	];
	for (const [timeout, interval] of INTERVALS) {
		test(`P3, row 38: _timeout ${toJson(timeout).slice(0, 40)}: every ${interval} ms`, () => {
			expect(heartbeatInterval(timeout)).toBe(interval);
		});
	}

	test.each([{ _timeout: 10n ** 20n }, { _timeout: [10n ** 20n] }])(
		"rows 32 and 38: an integer beyond 2^53 is no reason not to answer",
		async ({ _timeout }) => {
			const { send, request, replies, server } = await serve(async () => "ok");
			await send(request({ _timeout }));
			await server.stop();
			await expect.poll(replies).toMatchObject([{ result: "ok" }]);
		},
	);

	test.each(["abc", 1, -60, [60], `${"x".repeat(60)}\n`])(
		"P3: %j is no interval: a WARNING, and the answer",
		async (_timeout) => {
			const { send, request, call, lines } = await serve(async () => "ok");
			await send(request({ _reply_q: "reply_1", _timeout }));
			expect(await call()).toBe("ok");
			const told = lines.filter((line) => line.includes("no heartbeats for a caller of"));
			expect(told).toEqual([
				expect.stringMatching(/ WARNING .* its _timeout is .{1,40}, expected seconds from 2 on\n$/),
			]);
		},
	);

	test("row 25: a flood of such callers is one line, however long the name of the method", async () => {
		const { send, request, call, lines } = await serve(async () => "ok");
		for (let count = 0; count < 200; count++) await send(request({ _timeout: "abc", method: "x".repeat(10_000) }));
		expect(await call()).toBe("ok");
		expect(lines).toEqual([expect.stringContaining("no heartbeats for a caller of xxx")]);
		expect(lines.join("").length).toBeLessThan(300);
	});

	test("P28: come while the method runs, none after the reply", async ({ expect }) => {
		const slow = gate();
		const { send, request, reply, replies } = await serve(() => slow.opened);
		await send(request({ _timeout: 2 }), 60_000);
		for (const index of [0, 1]) {
			expect(await reply(index)).toMatchObject({ result: null, failure: null, ending: false, _msg_id: "id" });
		}
		slow.open("done");
		expect(await reply(2)).toMatchObject({ result: "done", ending: true });
		// Three intervals in which a forgotten timer would send.
		await sleep(3_200);
		expect(replies()).toHaveLength(3);
		const ids = replies().map((fields) => fields["_unique_id"]);
		expect(new Set(ids).size).toBe(3);
	});

	test.each([
		{ _timeout: null },
		{},
		{ _timeout: 1 },
		{ _timeout: 1e9 },
		{ _timeout: "999999999" },
		{ _timeout: 2, _msg_id: null },
	])("P3: none with %j, however long it takes", async (fields) => {
		const { send, request, replies, server } = await serve(() => sleep(5_000, "done"));
		await send(request(fields), 60_000);
		await expect.poll(replies).toHaveLength("_msg_id" in fields ? 0 : 1);
		await server.stop();
		expect(replies().filter((fields) => fields["ending"] !== true)).toEqual([]);
	});

	test("stop when the time of the call is over, although the method goes on", async ({ expect }) => {
		const { send, request, replies } = await serve(() => sleep(10_000));
		// Half of it: 2.5 s, so one at 1 s, and one at 2 s if that is not late.
		await send(request({ _timeout: 2 }), 5_000);
		await expect.poll(() => replies().some(({ ending }) => ending)).toBe(true);
		const sent = replies();
		expect(sent.length).toBeGreaterThan(1);
		expect(sent.at(-1)).toMatchObject({ ending: true, failure: expect.stringContaining("not finished in time") });
		await sleep(1_500);
		expect(replies()).toHaveLength(sent.length);
	});

	test("keep a real client with a call monitor waiting", async ({ expect }) => {
		const { client } = await serve(() => sleep(7_000, "worth it"));
		const options = { timeout: 30, callMonitorTimeout: 4 };
		expect(await client.call({ ...TARGET, version: "6.0" }, "m", {}, options)).toBe("worth it");
	});

	test("end when the reply queue is gone; the reply is still tried", async ({ expect }) => {
		const { send, request, lines, server } = await serve(() => sleep(1_200, "done"));
		await send(request({ _timeout: 2, _reply_q: "reply_gone" }), 60_000);
		await expect.poll(() => lines.join("")).toContain("reply_gone does not exist");
		await server.stop();
	});
});

test("P28: a heartbeat that is on its way when the method ends is the last", async () => {
	vi.useFakeTimers();
	onTestFinished(() => void vi.useRealTimers());
	const confirmed = gate();
	const publish = vi.fn(async () => {
		await confirmed.opened;
		return "routed" as const;
	});
	const transport = Object.assign(new MemoryTransport(), { publish });
	const call = readRequest({ method: "m", _msg_id: "id", _reply_q: "reply_1", _timeout: 2 });
	const end = keepWaiting(transport, call, () => undefined);
	await vi.advanceTimersByTimeAsync(1_000);
	expect(publish).toHaveBeenCalledOnce();
	const ended = end?.();
	confirmed.open("yes");
	await ended;
	await vi.advanceTimersByTimeAsync(10_000);
	expect(publish).toHaveBeenCalledOnce();
});
