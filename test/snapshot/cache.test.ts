import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { SnapshotCache } from "../../src/snapshot/cache.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "../../src/snapshot/source.ts";

const OPTIONS: FetchOptions = { signal: new AbortController().signal };

/** A source that counts what it is asked, and answers when it is told to. */
class CountingSource implements SnapshotSource {
	readonly asked: string[] = [];
	answer: (host: string) => Promise<Snapshot> = async (host) => ({ schema_version: "1.0", host, devices: [] });

	async fetch(host: string): Promise<Snapshot> {
		this.asked.push(host);
		return this.answer(host);
	}
}

function setUp(maxAge: number) {
	const source = new CountingSource();
	return { source, cache: new SnapshotCache(source, maxAge) };
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
		await expect(hasty).rejects.toMatchObject({ code: "agent.timeout" });
		await expect(cache.fetch("a", { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "agent.timeout" });
		arrive();
		expect((await patient).host).toBe("a");
		expect(source.asked).toEqual(["a"]);
	});
});
