import { deferred } from "./deferred.ts";
import { MessagingTimeout } from "./errors.ts";
import { decodeFailure } from "./failure.ts";
import type { Reply } from "./message.ts";

export interface WaiterOptions {
	/** What is called, for the text of the timeout. */
	readonly what: string;
	/** Seconds to wait for the reply. */
	readonly timeout: number;
	/** Seconds between two signs of life. */
	readonly callMonitorTimeout: number | undefined;
	/** Whether there is a broker. */
	readonly isConnected: () => boolean;
	/** Takes each reply as it came, and its `_msg_id`. */
	readonly onBody: ((body: Buffer, msgId: string) => void) | undefined;
	/** Forgets the waiter, however the call ends. */
	readonly onSettled: () => void;
}

/** A call that waits for its reply. */
export interface Waiter {
	readonly result: Promise<unknown>;
	/** What the request waits for while it is not sent, and there is a broker. */
	lacks: "reply queue" | "exchange";
	/** Set when the broker is given the request: from then on the method may run. */
	sent: boolean;
	/** Set when the broker has it in a queue. */
	routed: boolean;
	reject(error: Error): void;
	onReply(reply: Reply, body: Buffer): void;
}

/** Node's longest timer; one that is set longer ends at once. */
export const LONGEST_MS = 2 ** 31 - 1;

/**
 * Waits as ReplyWaiter does (oslo_messaging/_drivers/amqpdriver.py): the call has a timer, and the call monitor one that
 * every heartbeat restarts; whichever ends first ends the call.
 */
export function startWaiter(options: WaiterOptions): Waiter {
	const { timeout, callMonitorTimeout, onBody, onSettled } = options;
	const { promise: result, resolve, reject } = deferred<unknown>();
	const settle = (finish: () => void) => {
		clearTimeout(overall);
		clearTimeout(monitor);
		onSettled();
		finish();
	};
	const startTimer = (seconds: number) => {
		const expire = () => settle(() => reject(timedOut(options, seconds, waiter)));
		return setTimeout(expire, Math.min(seconds * 1000, LONGEST_MS));
	};
	const overall = startTimer(timeout);
	const monitor = callMonitorTimeout ? startTimer(callMonitorTimeout) : undefined;
	let early: unknown = null;
	const waiter: Waiter = {
		result,
		lacks: "reply queue",
		sent: false,
		routed: false,
		reject: (error) => settle(() => reject(error)),
		onReply(reply, body) {
			onBody?.(body, reply.msgId);
			const { failure, ending } = reply;
			if (failure !== null) return settle(() => reject(decodeFailure(failure)));
			// Before Newton (2016) the result came first, and the end by itself.
			early = reply.result ?? early;
			if (ending) settle(() => resolve(early));
			else monitor?.refresh();
		},
	};
	return waiter;
}

function timedOut(
	{ what, isConnected }: WaiterOptions,
	seconds: number,
	{ lacks, sent, routed }: Pick<Waiter, "lacks" | "sent" | "routed">,
): MessagingTimeout {
	const happened = `the broker has not confirmed in ${seconds} s that it has the request; the method may still run`;
	const missing = isConnected() ? `no ${lacks}` : "no connection";
	const text = routed
		? `no reply to ${what} in ${seconds} s`
		: `${what}${sent ? `: ${happened}` : ` was not sent: ${missing} in ${seconds} s`}`;
	return new MessagingTimeout(text, { sent, routed });
}
