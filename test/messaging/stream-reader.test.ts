import { expect, onTestFinished, test, vi } from "vitest";
import type { Channel, ConsumeMessage } from "../../src/messaging/rabbit.ts";
import { StreamReader } from "../../src/messaging/stream-reader.ts";
import type { Consume } from "../../src/messaging/topology.ts";

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

test("a consumer that is cancelled at once does not make the stream another one", async () => {
	vi.useFakeTimers();
	onTestFinished(() => void vi.useRealTimers());
	const reader = new StreamReader();
	const consume = async (onConsumer: (consumer: OnMessage) => void) => {
		const { channel, asked } = scripted(onConsumer);
		const lost = new AbortController();
		const take = (taken: ConsumeMessage | null) => taken ?? lost.abort(new Error("cancelled"));
		await reader.consume(channel, STEP, { take, skip: () => undefined }, lost);
		return asked[0];
	};
	expect(await consume((consumer) => consumer(message(7)))).toBe("last");
	expect(await consume((consumer) => consumer(null))).toBe(7);
	await vi.advanceTimersByTimeAsync(60_000);
	expect(await consume(() => undefined)).toBe(7);
});
