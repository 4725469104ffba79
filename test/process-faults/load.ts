import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../bench/statistics.ts";
import type { Caller, Question } from "../faults/caller.ts";

const PATIENCE_MS = 16_000;

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
	const asked = caller.asked.slice(before);
	const answers = () => new Map(caller.answers.filter(({ ending }) => ending).map(({ id, at }) => [id, at]));
	for (const giveUp = performance.now() + PATIENCE_MS; performance.now() < giveUp; await sleep(100)) {
		const answeredAt = answers();
		if (asked.every(({ id }) => answeredAt.has(id))) break;
	}
	const answeredAt = answers();
	return asked.map(({ id, sentAt }) => ({ sentAt, answeredAt: answeredAt.get(id) }));
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
