import { setTimeout as sleep } from "node:timers/promises";
import { MessageDeliveryFailure } from "./errors.ts";
import { heartbeat, type Request } from "./message.ts";
import { isReplyQueue } from "./replies.ts";
import type { Transport } from "./transport.ts";

const HEARTBEAT_TIMEOUT_MS = 3_000;
/** Node makes a millisecond of what is longer; no call takes that long. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Keeps a caller with a call monitor waiting: a heartbeat every half `_timeout` until the call is answered (_watchdog of
 * oslo_messaging/rpc/dispatcher.py). Returns what ends it, and resolves when none will follow any more: the reply is sent
 * after that. Undefined for a caller who wants none.
 */
export function keepWaiting(
	transport: Transport,
	{ monitorTimeout, replyTo }: Request,
): (() => Promise<void>) | undefined {
	const interval = heartbeatInterval(monitorTimeout);
	if (interval === undefined || interval > LONGEST_TIMER_MS || !replyTo || !isReplyQueue(replyTo.queue))
		return undefined;
	const answered = new AbortController();
	const beating = beat(transport, replyTo, interval, answered.signal);
	return async () => {
		answered.abort();
		await beating;
	};
}

async function beat(
	transport: Transport,
	{ queue, msgId }: NonNullable<Request["replyTo"]>,
	interval: number,
	answered: AbortSignal,
): Promise<void> {
	try {
		for (;;) {
			await sleep(interval, undefined, { signal: answered });
			const outcome = await transport.publish({ kind: "reply", queue }, heartbeat(msgId), {
				timeout: HEARTBEAT_TIMEOUT_MS,
			});
			if (outcome === "unroutable") return;
		}
	} catch (error) {
		if (!answered.aborted && !(error instanceof MessageDeliveryFailure)) throw error;
	}
}

/** Milliseconds between heartbeats: half of Python's `int(_timeout)`; none when that is below a second. */
export function heartbeatInterval(monitorTimeout: unknown): number | undefined {
	const seconds =
		typeof monitorTimeout === "number" || (typeof monitorTimeout === "string" && /^\d{1,9}$/.test(monitorTimeout))
			? Math.trunc(Number(monitorTimeout))
			: 0;
	return seconds >= 2 ? seconds * 500 : undefined;
}
