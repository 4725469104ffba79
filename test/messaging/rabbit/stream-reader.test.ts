import { expect, onTestFinished, test, vi } from "vitest";
import type { Channel, ConsumeMessage } from "../../../src/messaging/rabbit/rabbit.ts";
import { StreamReader } from "../../../src/messaging/rabbit/stream-reader.ts";
import type { Consume } from "../../../src/messaging/rabbit/topology.ts";

const STEP: Consume = {
	kind: "consume",
	queue: "t_fanout",
	tag: "3",
	arguments: { "x-stream-offset": "last" },
};

type OnMessage = (message: ConsumeMessage | null) => void;

/** A channel on which a consumer gets what `onConsumer` hands it before it is told that it is one; `from` is what was asked for. */
function scripted(onConsumer: (consumer: OnMessage) => void) {
	const asked: unknown[] = [];
	const channel = {
		consume: async (_queue: string, consumer: OnMessage, options: { arguments: Record<string, unknown> }) => {
			asked.push(options.arguments["x-stream-offset"]);
			onConsumer(consumer);
		},
	};
	return { channel: channel as unknown as Channel, asked };
}

function message(offset: number): ConsumeMessage {
	return {
		properties: { headers: { "x-stream-offset": offset } },
		content: Buffer.from("x"),
	} as unknown as ConsumeMessage;
}

/** What a reader asks for when it is set up again, by what it met the last time; and what it took. */
function setUp() {
	const reader = new StreamReader();
	const taken: (number | null)[] = [];
	const consume = async (onConsumer: (consumer: OnMessage, lost: AbortController) => void) => {
		const lost = new AbortController();
		const { channel, asked } = scripted((consumer) => onConsumer(consumer, lost));
		const take = (one: ConsumeMessage | null) => {
			taken.push(one && Number(one.properties.headers?.["x-stream-offset"]));
			if (one === null) lost.abort(new Error("cancelled"));
		};
		await reader.consume(channel, STEP, { take, skip: () => undefined }, lost);
		return asked[0];
	};
	return { consume, taken };
}

test("a consumer that is cancelled at once does not make the stream another one", async () => {
	vi.useFakeTimers();
	onTestFinished(() => void vi.useRealTimers());
	const { consume } = setUp();
	expect(await consume((consumer) => consumer(message(7)))).toBe("last");
	expect(await consume((consumer) => consumer(null))).toBe(7);
	await vi.advanceTimersByTimeAsync(60_000);
	expect(await consume(() => undefined)).toBe(7);
});

test("what comes when the channel is lost already is left for the next one", async () => {
	const { consume, taken } = setUp();
	await consume((consumer, lost) => {
		consumer(message(7));
		lost.abort(new Error("gone"));
		consumer(message(8));
	});
	expect(taken).toEqual([7]);
	expect(await consume(() => undefined)).toBe(7);
});
