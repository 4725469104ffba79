import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Turns } from "../../src/snapshot/turns.ts";

/** Work that ends when it is told to, or when its request is aborted. */
function work(turns: Turns, order: string[], name: string, asker: object = {}) {
	const request = new AbortController();
	let end: () => void = () => undefined;
	const result = turns.run(name, asker, request, async () => {
		order.push(name);
		await new Promise<void>((resolve) => {
			end = resolve;
			request.signal.addEventListener("abort", () => resolve());
		});
		return name;
	});
	return { request, result, end: () => end() };
}

describe("Turns", () => {
	test("come in the order of asking, as many at once as there are", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(2, 10_000), []];
		const [a, b, c, d] = [..."abcd"].map((name) => work(turns, order, name));
		await sleep(5);
		expect(order).toEqual(["a", "b"]);
		b?.end();
		expect(await b?.result).toEqual({ result: "b" });
		await sleep(5);
		expect(order).toEqual(["a", "b", "c"]);
		a?.end();
		await sleep(5);
		expect(order).toEqual(["a", "b", "c", "d"]);
		c?.end();
		d?.end();
		expect(await Promise.all([c?.result, d?.result])).toEqual([{ result: "c" }, { result: "d" }]);
	});

	test("go round among those who ask: who asks for many does not keep out who asks for one", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(1, 10_000), []];
		const many = {};
		const all = [..."abcd"].map((name) => work(turns, order, name, many));
		all.push(work(turns, order, "x"), work(turns, order, "y"));
		for (let ended = 0; ended < all.length; ended++) {
			await sleep(2);
			for (const one of all) one.end();
		}
		expect(order).toEqual(["a", "b", "x", "y", "c", "d"]);
	});

	test("of one who joins count for what he waits for, too", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(1, 10_000), []];
		const many = {};
		const all = [..."abcd"].map((name) => work(turns, order, name, many));
		turns.join("d", {});
		turns.join("none", {});
		for (let ended = 0; ended < all.length; ended++) {
			await sleep(2);
			for (const one of all) one.end();
		}
		expect(order).toEqual(["a", "b", "d", "c"]);
	});

	test("are forgone by who gives up before", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(1, 10_000), []];
		const [a, b, c] = [..."abc"].map((name) => work(turns, order, name));
		b?.request.abort();
		expect(await b?.result).toBeUndefined();
		a?.end();
		await sleep(5);
		expect(order).toEqual(["a", "c"]);
		const late = new AbortController();
		late.abort();
		expect(await turns.run("late", {}, late, async () => "never")).toBeUndefined();
		c?.end();
	});

	test("are given up by who is silent for too long while somebody waits, the oldest first, and no more than wait", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(3, 50), []];
		const all = [..."abc"].map((name) => work(turns, order, name));
		await sleep(80);
		expect(all.map(({ request }) => request.signal.aborted)).toEqual([false, false, false]);
		const [d, e] = [..."de"].map((name) => work(turns, order, name));
		await sleep(20);
		expect(all.map(({ request }) => request.signal.aborted)).toEqual([true, true, false]);
		expect(order).toEqual(["a", "b", "c", "d", "e"]);
		for (const one of [...all, d, e]) one?.end();
	});

	test("a turn is given back when the work fails", async () => {
		const turns = new Turns(1, 10_000);
		const failing = turns.run("next", {}, new AbortController(), () => Promise.reject(new Error("down")));
		await expect(failing).rejects.toThrow("down");
		expect(await turns.run("next", {}, new AbortController(), async () => "next")).toEqual({ result: "next" });
	});
});
