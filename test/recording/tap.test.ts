import { expect, test } from "vitest";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { resultReply } from "../../src/messaging/message.ts";
import { Recorder, TappedTransport } from "../../src/recording/tap.ts";

test("a reply whose queue is missing is published again and again, and recorded once", async () => {
	const lines: string[] = [];
	const recorder = new Recorder({ write: (line) => lines.push(line), maxSize: 10_000, onFull: () => undefined });
	const transport = new TappedTransport(new MemoryTransport(), recorder);
	const publish = (body: Buffer) => transport.publish({ kind: "reply", queue: "reply_gone" }, body, { timeout: 1_000 });
	const [reply, other] = [resultReply("1", "accept", undefined), resultReply("2", "accept", undefined)];
	expect([await publish(reply), await publish(reply), await publish(other)]).toEqual(Array(3).fill("unroutable"));
	expect(lines.map((line) => JSON.parse(line).message._msg_id)).toEqual(["1", "2"]);
});
