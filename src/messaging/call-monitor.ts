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
 * oslo_messaging/rpc/dispatcher.py). Resolves when none will follow any more, which is before the reply is sent.
 */
export async function keepWaiting(
	transport: Transport,
	{ monitorTimeout, replyTo }: Request,
	answered: AbortSignal,
): Promise<void> {
	const interval = heartbeatInterval(monitorTimeout);
	if (interval === undefined || interval > LONGEST_TIMER_MS || !replyTo || !isReplyQueue(replyTo.queue)) return;
	const to = { kind: "reply", queue: replyTo.queue } as const;
	try {
		for (;;) {
			await sleep(interval, undefined, { signal: answered });
			const outcome = await transport.publish(to, heartbeat(replyTo.msgId), { timeout: HEARTBEAT_TIMEOUT_MS });
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
