import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { Config } from "../../src/config.ts";
import { RateLimit } from "../../src/nova/rate-limit.ts";
import { recordingLog } from "../support/log.ts";
import { startService } from "../support/service.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

function limit(perHost: number, ofAll: number) {
	const { log, lines } = recordingLog();
	const limits = { max_checks_per_second_per_host: perHost, max_checks_per_second: ofAll };
	const rateLimit = new RateLimit(limits, log);
	/** How many of so many checks at once are made. */
	const made = (count: number, host: string | ((index: number) => string) = "a") =>
		Array.from({ length: count }, (_, index) =>
			rateLimit.exceeded(typeof host === "string" ? host : host(index)),
		).filter((exceeded) => exceeded === undefined).length;
	return { rateLimit, made, lines };
}

describe("SEC-07: how many checks are made", () => {
	test("0 is no limit", () => {
		const { made, rateLimit } = limit(0, 0);
		expect(made(100_000)).toBe(100_000);
		expect(rateLimit.refused).toEqual({ max_checks_per_second_per_host: 0, max_checks_per_second: 0 });
	});

	test("unless the configuration says otherwise, a full queue from one host passes at a start, and a flood of its does not take all", () => {
		const { max_checks_per_second_per_host: perHost, max_checks_per_second: ofAll } = Config.parse({
			transport_url: "memory://",
		});
		const { made } = limit(perHost, ofAll);
		// Row 22: so many may wait in the queue.
		expect(made(5_000)).toBe(5_000);
		expect(made(1_000_000)).toBeLessThanOrEqual(5_000);
		expect(made(5_000, "b")).toBe(5_000);
	});

	/** per host, of all; then what comes: after so many milliseconds, so many checks of a host, of which so many are made */
	const FLOWS: readonly (readonly [string, number, number, readonly (readonly [number, number, string, number])[]])[] =
		[
			["five seconds' worth at once", 10, 0, [[0, 60, "a", 50]]],
			[
				"as many as the time brings",
				10,
				0,
				[
					[0, 50, "a", 50],
					[99, 1, "a", 0],
					[1, 2, "a", 1],
					[1_000, 20, "a", 10],
				],
			],
			[
				"no more than five seconds' worth, however long it was quiet",
				10,
				0,
				[
					[0, 50, "a", 50],
					[3_600_000, 60, "a", 50],
				],
			],
			[
				"a host that floods takes nothing from another",
				10,
				60,
				[
					[0, 10_000, "a", 50],
					[0, 50, "b", 50],
				],
			],
			[
				"all together",
				0,
				10,
				[
					[0, 30, "a", 30],
					[0, 30, "b", 20],
				],
			],
		];
	test.each(FLOWS)("%s", (_name, perHost, ofAll, flow) => {
		const { made } = limit(perHost, ofAll);
		for (const [wait, count, host, expected] of flow) {
			vi.advanceTimersByTime(wait);
			expect(made(count, host)).toBe(expected);
		}
	});

	test("hosts that are invented meet the limit of all, and 4,096 of them are remembered", () => {
		const { made, rateLimit } = limit(1, 1_000);
		expect(made(5, "known")).toBe(5);
		expect(made(20_000, (index) => `invented-${index}`)).toBe(4_995);
		expect(rateLimit.refused).toEqual({ max_checks_per_second_per_host: 0, max_checks_per_second: 15_005 });
		expect(made(1, "invented-19999")).toBe(0);
		vi.advanceTimersByTime(1_000);
		// Forgotten since, or it would have one.
		expect(made(5, "known")).toBe(5);
	});
});

test("a flood is one line of the log a second, with what it was and how many", () => {
	const { made, lines } = limit(10, 0);
	for (let second = 0; second < 3; second++) {
		made(1_000, "cmp-07");
		made(100, "cmp-08");
		expect(lines).toHaveLength(second);
		vi.advanceTimersByTime(1_000);
	}
	const told = (count: number) =>
		expect.stringContaining(
			`${count} checks were not made within a second, the first of source host cmp-07: more than max_checks_per_second_per_host allows (10)`,
		);
	expect(lines).toEqual([told(1_000), told(1_080), told(1_080)]);
	vi.advanceTimersByTime(60_000);
	expect(lines).toHaveLength(3);
	made(51);
	vi.advanceTimersByTime(1_000);
	expect(lines.at(-1)).toContain(" 1 check was not made within a second, the first of source host a: ");
});

describe("the service, with one check a second", () => {
	const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";
	const TARGET = { exchange: "nova", topic: "migration_compat" };
	const request = { instance_uuid: UUID, source_host: "test_compute0", dest_host: "test_compute1" };
	const text = "more than max_checks_per_second_per_host allows (1): the check was not made";
	const refused = {
		verdict: "unknown",
		allowed: false,
		reasons: [{ code: "request.rate_limited", severity: "error", message: text }],
	};

	/** It is just being asked for the five checks that may come at once; a ranking is one, however many hosts it names. */
	async function flooded() {
		vi.useRealTimers();
		const service = await startService(["test_compute0", "test_compute1"], { max_checks_per_second_per_host: 1 });
		onTestFinished(() => service.stop());
		const call = (method: string, args: object, version = "1.1") =>
			service.client.call({ ...TARGET, version }, method, { ...args }, { timeout: 5 });
		const ranking = { request: { ...request, dest_hosts: ["test_compute1", "nowhere"] } };
		const five = [
			call("rank_destinations", ranking),
			...Array.from({ length: 4 }, () => call("check_live_migration", { request })),
		];
		return { call, five: Promise.all(five), lines: service.lines };
	}

	test("asks no agent when it refuses, and writes no line", async () => {
		const { call, five, lines } = await flooded();
		const one = { ...request, dest_host: "elsewhere" };
		expect(await call("check_live_migration", { request: one })).toMatchObject(refused);
		expect(await five).toMatchObject([
			{ verdicts: { accept: 1, unknown: 1 } },
			...Array(4).fill({ verdict: "accept" }),
		]);
		expect(lines.filter((line) => line.includes("elsewhere"))).toEqual([]);
	});

	test("answers for another source host", async () => {
		const { call, five } = await flooded();
		const one = { ...request, source_host: "other" };
		expect(await call("check_live_migration", { request: one })).toMatchObject({
			reasons: [{ code: "agent.unconfigured" }],
		});
		await five;
	});

	test("refuses Nova's own check as a pre-check, so that Nova tries the next host", async () => {
		const { call, five } = await flooded();
		const instance = { uuid: UUID, host: "test_compute0" };
		const args = { instance, migration: { dest_compute: "test_compute1" } };
		await expect(call("check_can_live_migrate_destination", args, "6.0")).rejects.toMatchObject({
			excType: "MigrationPreCheckError",
			value: expect.stringContaining(text),
		});
		await five;
	});

	test("refuses a ranking: every host is unknown, each once", async () => {
		const { call, five } = await flooded();
		const ranking = { request: { ...request, dest_hosts: ["c", "b", "c"] } };
		expect(await call("rank_destinations", ranking)).toMatchObject({
			hosts: [
				{ host: "b", ...refused },
				{ host: "c", ...refused },
			],
		});
		await five;
	});
});
