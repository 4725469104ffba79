import { newId } from "../message.ts";
import type { Declaration } from "./topology.ts";

/** What to listen in on, beside those whom the messages are for. */
export interface Tap {
	/** A topic exchange, which its owner declares: only he knows with which arguments. */
	readonly exchange: string;
	/** Binding keys, in which `#` is any number of words: names of hosts have dots. */
	readonly keys: readonly string[];
	/** What the name of the queue begins with. */
	readonly queuePrefix: string;
	/** Messages handed out that are not acknowledged, at most. */
	readonly prefetch: number;
}

/** When the program that taps hangs, the broker keeps so much for it and drops the oldest, without anybody else noticing. */
const BOUNDS = { "x-max-length": 1_000, "x-max-length-bytes": 32 * 1024 * 1024, "x-overflow": "drop-head" };

/** A queue that goes with its connection: one that stays behind would collect passwords. */
export function tapTopology({ exchange, keys, queuePrefix }: Tap): readonly Declaration[] {
	const queue = `${queuePrefix}.${newId()}`;
	return [
		{ kind: "existing exchange", name: exchange },
		{
			kind: "queue",
			name: queue,
			durable: false,
			autoDelete: true,
			exclusive: true,
			arguments: BOUNDS,
			deletedAtStop: false,
		},
		...keys.map((key): Declaration => ({ kind: "binding", queue, exchange, key })),
		{ kind: "consume", queue, tag: "1", arguments: {} },
	];
}
