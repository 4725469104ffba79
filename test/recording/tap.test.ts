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

test("the limit is one of bytes", () => {
	const lines: string[] = [];
	const maxSize = 4_000;
	const recorder = new Recorder({ write: (line) => lines.push(line), maxSize, onFull: () => undefined });
	const body = { body: resultReply("1", "accept", undefined), contentType: "application/json", compression: undefined };
	for (let round = 0; round < 20; round++) recorder.record({ exchange: "", routing_key: "é€".repeat(100) }, body);
	expect(lines.length).toBeGreaterThan(2);
	expect(Buffer.byteLength(lines.join(""))).toBeLessThanOrEqual(maxSize);
});
