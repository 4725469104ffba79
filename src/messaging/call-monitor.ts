import { MessageDeliveryFailure } from "./errors.ts";
import { toJson } from "./json.ts";
import { heartbeat, type Request } from "./message.ts";
import { pythonInt } from "./python-int.ts";
import { isReplyQueue } from "./replies.ts";
import type { Transport } from "./transport.ts";

const HEARTBEAT_TIMEOUT_MS = 3_000;
/** After one that the broker has not taken. */
const AGAIN_MS = 1_000;
/** Node makes a millisecond of what is longer; no call takes that long. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * Keeps a caller with a call monitor waiting: a heartbeat every half `_timeout` until the call is answered (_watchdog of
 * oslo_messaging/rpc/dispatcher.py). Returns what ends it, and resolves when none will follow any more: the reply is sent
 * after that. Undefined for a caller who wants none.
 */
export function keepWaiting(
	transport: Transport,
	{ method, monitorTimeout, replyTo }: Request,
	warn: (text: string) => void,
): (() => Promise<void>) | undefined {
	const interval = heartbeatInterval(monitorTimeout);
	if (interval === undefined && monitorTimeout) {
		const [called, asked] = [method.slice(0, 40), toJson(monitorTimeout).slice(0, 40)];
		warn(`no heartbeats for a caller of ${called}: its _timeout is ${asked}, expected seconds from 2 on`);
	}
	if (interval === undefined || interval > LONGEST_TIMER_MS || !replyTo || !isReplyQueue(replyTo.queue))
		return undefined;
	const { queue, msgId } = replyTo;
	let beating: Promise<void> = Promise.resolve();
	let isAnswered = false;
	const beat = () => {
		beating = sendHeartbeat(transport, queue, msgId).then((outcome) => {
			// That the queue is missing ends them in Python, too; there one that the broker does not take is sent again until it does.
			if (outcome === "unroutable" || isAnswered) return;
			timer = setTimeout(beat, outcome === "routed" ? interval : AGAIN_MS);
		});
	};
	let timer = setTimeout(beat, interval);
	return () => {
		isAnswered = true;
		clearTimeout(timer);
		return beating;
	};
}

async function sendHeartbeat(
	transport: Transport,
	queue: string,
	msgId: string,
): Promise<"routed" | "unroutable" | "lost"> {
	try {
		const timeout = HEARTBEAT_TIMEOUT_MS;
		return await transport.publish({ kind: "reply", queue }, heartbeat(msgId), { timeout });
	} catch (error) {
		if (!(error instanceof MessageDeliveryFailure)) throw error;
		return "lost";
	}
}

/** Milliseconds between heartbeats: half of Python's `int(_timeout)`; none when that is below a second. */
export function heartbeatInterval(monitorTimeout: unknown): number | undefined {
	const seconds = secondsOf(monitorTimeout);
	return seconds !== undefined && seconds >= 2 ? seconds * 500 : undefined;
}

function secondsOf(timeout: unknown): number | undefined {
	if (typeof timeout === "string") return pythonInt(timeout);
	return typeof timeout === "number" || typeof timeout === "bigint" ? Math.trunc(Number(timeout)) : undefined;
}
