import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { MADE_ROOM, Turns } from "../../src/snapshot/turns.ts";

const LONG = 10_000;

/** Work that ends when it is told to, or when its request is aborted. */
function work(turns: Turns, order: string[], name: string, asker: object = {}, patience = LONG) {
	const over = new AbortController();
	let end: () => void = () => undefined;
	const result = turns.run({ name, asker, over, patience }, async () => {
		order.push(name);
		await new Promise<void>((resolve) => {
			end = resolve;
			over.signal.addEventListener("abort", () => resolve());
		});
		return name;
	});
	return { over, result, end: () => end() };
}

describe("Turns", () => {
	test("come in the order of asking, as many at once as there are", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(2), []];
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
		const [turns, order]: [Turns, string[]] = [new Turns(1), []];
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
		const [turns, order]: [Turns, string[]] = [new Turns(1), []];
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
		const [turns, order]: [Turns, string[]] = [new Turns(1), []];
		const [a, b, c] = [..."abc"].map((name) => work(turns, order, name));
		b?.over.abort();
		expect(await b?.result).toBeUndefined();
		a?.end();
		await sleep(5);
		expect(order).toEqual(["a", "c"]);
		const late = new AbortController();
		late.abort();
		const request = { name: "late", asker: {}, over: late, patience: LONG };
		expect(await turns.run(request, async () => "never")).toBeUndefined();
		c?.end();
	});

	test("are given up by who is silent for too long while somebody waits, whose patience ended first, and no more than wait", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(3), []];
		const all = [..."abc"].map((name, index) => work(turns, order, name, {}, index === 0 ? 500 : 50));
		const reasons = () => all.map(({ over }) => over.signal.reason);
		await sleep(80);
		expect(reasons()).toEqual([undefined, undefined, undefined]);
		const [d, e] = [..."de"].map((name) => work(turns, order, name));
		await sleep(20);
		expect(reasons()).toEqual([undefined, MADE_ROOM, MADE_ROOM]);
		expect(order).toEqual(["a", "b", "c", "d", "e"]);
		for (const one of [...all, d, e]) one?.end();
	});

	test("an answer that is there already is read, however long this process was busy", async () => {
		const [turns, order]: [Turns, string[]] = [new Turns(1), []];
		const server = createServer((socket) => socket.once("data", () => first.end())).listen(0, "127.0.0.1");
		onTestFinished(() => void server.close());
		await once(server, "listening");
		const answer = connect((server.address() as AddressInfo).port, "127.0.0.1");
		onTestFinished(() => void answer.destroy());
		await once(server, "connection");
		const first = work(turns, order, "a", {}, 20);
		const second = work(turns, order, "b");
		answer.write("x");
		for (const end = performance.now() + 60; performance.now() < end; );
		expect(await first.result).toEqual({ result: "a" });
		expect(first.over.signal.aborted).toBe(false);
		second.end();
	});

	test("a turn is given back when the work fails", async () => {
		const turns = new Turns(1);
		const request = () => ({ name: "a", asker: {}, over: new AbortController(), patience: LONG });
		await expect(turns.run(request(), () => Promise.reject(new Error("down")))).rejects.toThrow("down");
		expect(await turns.run(request(), async () => "next")).toEqual({ result: "next" });
	});
});
