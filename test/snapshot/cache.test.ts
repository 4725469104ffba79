import { getEventListeners } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Agents, Collected } from "../../src/snapshot/agent-source.ts";
import type { Failing } from "../../src/snapshot/breaker.ts";
import { type CacheOptions, SnapshotCache } from "../../src/snapshot/cache.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { type FetchOptions, NO_WITNESS, SnapshotError } from "../../src/snapshot/source.ts";

const OPTIONS: FetchOptions = { signal: new AbortController().signal };

const BOOT = "11111111-2222-3333-4444-555555555555";
const snapshotOf = (host: string, more: Partial<Snapshot> = {}): Snapshot => ({
	schema_version: "1.1",
	host,
	devices: [],
	...more,
});
const collected = (snapshot: Snapshot, age = 0): Collected => ({
	snapshot,
	etag: '"1"',
	bytes: 100,
	collectedAt: performance.now() - age * 1000,
});

/** Agents that count what they are asked, and answer when they are told to. */
class CountingAgents implements Agents {
	readonly asked: string[] = [];
	readonly known: (Collected | undefined)[] = [];
	refused: SnapshotError | undefined;
	failed: readonly Failing[] = [];
	answer: (host: string) => Promise<Collected> = async (host) => collected(snapshotOf(host));

	refusal(): SnapshotError | undefined {
		return this.refused;
	}

	join(): void {}

	failing(): readonly Failing[] {
		return this.failed;
	}

	async ask(host: string, { known }: { known?: Collected | undefined }): Promise<Collected> {
		this.asked.push(host);
		this.known.push(known);
		return this.answer(host);
	}
}

function setUp(maxAge: number, options: Partial<CacheOptions> = {}) {
	const source = new CountingAgents();
	return { source, cache: new SnapshotCache(source, { maxAge, staleAfter: 60, staleMax: 300, ...options }) };
}

describe("SnapshotCache", () => {
	test("asks once for what is fresh, host by host", async () => {
		const { source, cache } = setUp(60);
		const first = await cache.fetch("a", OPTIONS);
		expect(await cache.fetch("a", OPTIONS)).toBe(first);
		expect((await cache.fetch("b", OPTIONS)).host).toBe("b");
		expect(source.asked).toEqual(["a", "b"]);
	});

	test("asks again for what is too old", async () => {
		const { source, cache } = setUp(0.05);
		await cache.fetch("a", OPTIONS);
		await sleep(100);
		await cache.fetch("a", OPTIONS);
		expect(source.asked).toEqual(["a", "a"]);
	});

	test.each([0, 60])("who asks at the same time waits for one answer, with a max age of %i s", async (maxAge) => {
		const { source, cache } = setUp(maxAge);
		const both = await Promise.all([cache.fetch("a", OPTIONS), cache.fetch("a", OPTIONS)]);
		expect(both[0]).toBe(both[1]);
		expect(source.asked).toEqual(["a"]);
	});

	test("with a max age of 0 nothing is kept", async () => {
		const { source, cache } = setUp(0);
		await cache.fetch("a", OPTIONS);
		await cache.fetch("a", OPTIONS);
		expect(source.asked).toEqual(["a", "a"]);
	});

	test("a failure reaches everybody who waits, and is not kept", async () => {
		const { source, cache } = setUp(60);
		const { answer } = source;
		source.answer = async () => Promise.reject(new SnapshotError("agent.unreachable", "down"));
		const waiting = [cache.fetch("a", OPTIONS), cache.fetch("a", OPTIONS)];
		for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "agent.unreachable" });
		source.answer = answer;
		expect((await cache.fetch("a", OPTIONS)).host).toBe("a");
		expect(source.asked).toEqual(["a", "a"]);
	});

	test("everybody waits as long as his own time allows, and the answer is kept for the next", async () => {
		const { source, cache } = setUp(60);
		let arrive: () => void = () => undefined;
		const arrived = new Promise<void>((resolve) => {
			arrive = resolve;
		});
		const { answer } = source;
		source.answer = async (host) => {
			await arrived;
			return answer(host);
		};
		const hasty = cache.fetch("a", { signal: AbortSignal.timeout(20) });
		const patient = cache.fetch("a", OPTIONS);
		await expect(hasty).rejects.toMatchObject({
			code: "agent.timeout",
			message: "the agent of a did not answer in time",
		});
		expect(cache.state()).toEqual({ kept: 0, bytes: 0, underway: 1 });
		await expect(cache.fetch("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "agent.timeout" });
		arrive();
		expect((await patient).host).toBe("a");
		expect(source.asked).toEqual(["a"]);
	});
});

test("an answer leaves nothing behind at who waited for it", async () => {
	const { cache } = setUp(0);
	const { signal } = new AbortController();
	await cache.fetch("a", { signal });
	expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("P6: what is kept has at most 128 MiB; what was not asked for the longest goes", async () => {
	const { source, cache } = setUp(60);
	source.answer = async (host) => ({ ...collected(snapshotOf(host)), bytes: 50 * 1024 * 1024 });
	for (const host of ["a", "b", "c"]) await cache.fetch(host, OPTIONS);
	expect(cache.hosts().map(({ host, breaker }) => [host, breaker])).toEqual([
		["b", "closed"],
		["c", "closed"],
	]);
	expect(cache.state()).toEqual({ kept: 2, bytes: 100 * 1024 * 1024, underway: 0 });
});

test("a bug is none of what agents do: it is not heard of, and comes as it is", async () => {
	const [source, heard] = [new CountingAgents(), vi.fn()];
	const cache = new SnapshotCache(source, { maxAge: 0, staleAfter: 60, staleMax: 300 }, NO_WITNESS, heard);
	const bug = new TypeError("bug");
	source.answer = async () => Promise.reject(bug);
	await expect(cache.fetch("a", OPTIONS)).rejects.toBe(bug);
	expect(heard).not.toHaveBeenCalled();
});

describe("to the millisecond", () => {
	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["performance"] });
		// The process has been running for a while.
		vi.advanceTimersByTime(1_000_000);
	});
	afterEach(() => void vi.useRealTimers());

	test("a snapshot is fresh for less than its max age", async () => {
		const { source, cache } = setUp(2);
		for (const [later, asked] of [
			[0, 1],
			[1_999, 1],
			[1, 2],
		] as const) {
			vi.advanceTimersByTime(later);
			await cache.fetch("a", OPTIONS);
			expect(source.asked).toHaveLength(asked);
		}
	});

	test("one that is as old as it may be is good, and kept", async () => {
		const { source, cache } = setUp(2);
		source.answer = async (host) => collected(snapshotOf(host), 60);
		for (const _ of [1, 2]) expect((await cache.fetch("a", OPTIONS)).host).toBe("a");
		expect(source.asked).toEqual(["a"]);
	});

	test("an old one is used while it is younger than the limit", async () => {
		const { source, cache } = setUp(0);
		source.answer = async (host) => collected(snapshotOf(host, { boot_id: BOOT }));
		await cache.fetch("a", OPTIONS);
		source.answer = async () => Promise.reject(new SnapshotError("agent.timeout", "down"));
		vi.advanceTimersByTime(299_999);
		await expect(cache.fetch("a", OPTIONS)).rejects.toMatchObject({ stale: { age: 299.999 } });
		vi.advanceTimersByTime(1);
		await expect(cache.fetch("a", OPTIONS)).rejects.toMatchObject({ stale: undefined });
	});
});

test("what is known is shown to the agent, so that it need not be sent again", async () => {
	const { source, cache } = setUp(0);
	await cache.fetch("a", OPTIONS);
	await cache.fetch("a", OPTIONS);
	expect(source.known.map((known) => known?.etag)).toEqual([undefined, '"1"']);
});

describe("a snapshot that was collected long ago", () => {
	test("is none, although its agent is alive", async () => {
		const { source, cache } = setUp(60);
		source.answer = async (host) => collected(snapshotOf(host, { boot_id: BOOT }), 61);
		await expect(cache.fetch("a", OPTIONS)).rejects.toMatchObject({
			code: "snapshot.stale",
			message: "the agent of a has not read its devices for 61 s (limit 60 s)",
		});
	});

	test("is asked for again as soon as it is too old, however fresh the answer was", async () => {
		const { source, cache } = setUp(60, { staleAfter: 0.1 });
		await cache.fetch("a", OPTIONS);
		await sleep(150);
		await cache.fetch("a", OPTIONS);
		expect(source.asked).toEqual(["a", "a"]);
	});
});

describe("the last good snapshot goes with a failure", () => {
	const failing = (code: SnapshotError["code"]) => async () => Promise.reject(new SnapshotError(code, "down"));
	async function afterwards(code: SnapshotError["code"], more: Partial<Snapshot>, options: Partial<CacheOptions> = {}) {
		const { source, cache } = setUp(0, options);
		const [good, bad] = [async (host: string) => collected(snapshotOf(host, more), 10), failing(code)];
		source.answer = good;
		await cache.fetch("a", OPTIONS);
		source.answer = bad;
		const error = await cache.fetch("a", OPTIONS).catch((reason: SnapshotError) => reason);
		return { source, cache, error: error as SnapshotError };
	}

	/** what failed, what the snapshot says of the boot, what goes with it */
	const FAILURES: readonly (readonly [SnapshotError["code"], Partial<Snapshot>, boolean])[] = [
		["agent.unreachable", { boot_id: BOOT }, true],
		["agent.timeout", { boot_id: BOOT }, true],
		["agent.unavailable", { boot_id: BOOT }, true],
		["agent.timeout", {}, false],
		["agent.tls", { boot_id: BOOT }, false],
		["agent.address", { boot_id: BOOT }, false],
		["agent.bad_reply", { boot_id: BOOT }, false],
		["agent.identity", { boot_id: BOOT }, false],
	];
	test.each(FAILURES)("%s of a host with %j: %s", async (code, more, goes) => {
		const { error } = await afterwards(code, more);
		expect(error).toMatchObject({ code, message: "down" });
		if (goes) expect(error.stale).toMatchObject({ snapshot: { host: "a" }, age: expect.closeTo(10, 0) });
		else expect(error.stale).toBeUndefined();
	});

	test("not when it is older than the limit", async () => {
		expect((await afterwards("agent.timeout", { boot_id: BOOT }, { staleMax: 9 })).error.stale).toBeUndefined();
	});

	test("not after somebody may have lied about the host", async () => {
		const { source, cache } = await afterwards("agent.tls", { boot_id: BOOT });
		source.answer = failing("agent.timeout");
		await expect(cache.fetch("a", OPTIONS)).rejects.toMatchObject({ code: "agent.timeout", stale: undefined });
	});

	test("with a failure that is remembered, and with the end of the time of the check, too", async () => {
		const { source, cache } = await afterwards("agent.timeout", { boot_id: BOOT });
		source.answer = () => new Promise(() => undefined);
		const signal = AbortSignal.timeout(20);
		await expect(cache.fetch("a", { signal })).rejects.toMatchObject({
			code: "agent.timeout",
			stale: { snapshot: {} },
		});
		source.refused = new SnapshotError("agent.unreachable", "down 1.0 s ago");
		const remembered = { message: "down 1.0 s ago", stale: { snapshot: { boot_id: BOOT } } };
		await expect(cache.fetch("a", OPTIONS)).rejects.toMatchObject(remembered);
	});
});

test("what is known of the hosts: snapshots, their age, and agents that failed", async () => {
	const { source, cache } = setUp(60);
	source.answer = async (host) => collected(snapshotOf(host), 10);
	await cache.fetch("b", OPTIONS);
	const last = new SnapshotError("agent.timeout", "no answer");
	source.failed = [
		{ host: "a", state: "open", last, age: 1 },
		{ host: "b", state: "quiet", last, age: 2 },
	];
	expect(cache.hosts()).toEqual([
		{ host: "a", breaker: "open", failure: { code: "agent.timeout", message: "no answer", age: 1 } },
		{
			host: "b",
			breaker: "quiet",
			snapshot: snapshotOf("b"),
			age: expect.closeTo(10, 0),
			failure: { code: "agent.timeout", message: "no answer", age: 2 },
		},
	]);
});

test("a witness, and who asks, hear how old each snapshot is that is used", async () => {
	const ages: number[] = [];
	const told: number[] = [];
	const options = { ...OPTIONS, aged: (age: number) => void told.push(Math.round(age)) };
	const witness = { ...NO_WITNESS, used: (age: number) => void ages.push(Math.round(age)) };
	const source = new CountingAgents();
	source.answer = async (host) => collected(snapshotOf(host), host === "stuck" ? 90 : 10);
	const cache = new SnapshotCache(source, { maxAge: 60, staleAfter: 60, staleMax: 300 }, witness);
	await Promise.all([cache.fetch("a", options), cache.fetch("a", options)]);
	for (const host of ["a", "b"]) await cache.fetch(host, options);
	await expect(cache.fetch("stuck", options)).rejects.toMatchObject({ code: "snapshot.stale", stale: undefined });
	expect(ages).toEqual([10, 10, 10, 10]);
	expect(told).toEqual(ages);
	source.answer = async () => collected(snapshotOf("stuck", { boot_id: BOOT }), 90);
	await expect(cache.fetch("stuck", options)).rejects.toMatchObject({ stale: { age: expect.closeTo(90, 0) } });
	expect(told.slice(ages.length)).toEqual([90]);
});
