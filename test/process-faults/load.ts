import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../bench/statistics.ts";
import type { Caller, Question } from "../faults/caller.ts";

/** Asks so many times a second until the end of `work`; returns what was asked meanwhile, once all of it has had time for an answer. */
export async function underLoad(
	caller: Caller,
	perSecond: number,
	question: (number: number) => Question,
	work: () => Promise<void>,
): Promise<readonly Asking[]> {
	const before = caller.asked.length;
	const stop = new AbortController();
	const load = ask(caller, perSecond, question, stop.signal);
	try {
		await work();
	} finally {
		stop.abort();
		await load;
	}
	await caller.settle(15_000);
	const answeredAt = new Map(caller.answers.filter(({ ending }) => ending).map(({ id, at }) => [id, at]));
	return caller.asked.slice(before).map(({ id, sentAt }) => ({ sentAt, answeredAt: answeredAt.get(id) }));
}

/** By `performance.now()`. */
export interface Asking {
	readonly sentAt: number;
	readonly answeredAt: number | undefined;
}

export const lostOf = (askings: readonly Asking[]) =>
	askings.filter(({ answeredAt }) => answeredAt === undefined).length;

export const p99Of = (askings: readonly Asking[]) =>
	quantile(
		askings.map(({ sentAt, answeredAt = Number.POSITIVE_INFINITY }) => answeredAt - sentAt),
		0.99,
	);

async function ask(
	caller: Caller,
	perSecond: number,
	question: (number: number) => Question,
	stop: AbortSignal,
): Promise<void> {
	const start = performance.now();
	for (let number = 0; !stop.aborted; ) {
		// A timer that is late catches up.
		for (const due = ((performance.now() - start) / 1000) * perSecond; number < due; number++) {
			await caller.ask(question(number));
		}
		await sleep(2);
	}
}
