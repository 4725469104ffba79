import { expect, test } from "vitest";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { resultReply, sealEnvelope } from "../../src/messaging/message.ts";
import { linesOf, readLine } from "../../src/recording/recording.ts";
import { Recorder, TappedTransport } from "../../src/recording/tap.ts";

const JSON_BODY = { contentType: "application/json", compression: undefined };

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
	const body = { ...JSON_BODY, body: resultReply("1", "accept", undefined) };
	for (let round = 0; round < 20; round++) recorder.record({ exchange: "", routing_key: "é€".repeat(100) }, body);
	expect(lines.length).toBeGreaterThan(2);
	expect(Buffer.byteLength(lines.join(""))).toBeLessThanOrEqual(maxSize);
});

test("numbers that JavaScript's own JSON has not are recorded digit by digit, and read back", () => {
	const lines: string[] = [];
	const recorder = new Recorder({ write: (line) => lines.push(line), maxSize: 10_000, onFull: () => undefined });
	const arg = [2n ** 70n, Number.NaN, Number.NEGATIVE_INFINITY];
	for (const item of arg) {
		const body = sealEnvelope({ method: "ping", args: { arg: item }, _timeout: 10n ** 20n });
		recorder.record({ exchange: "nova", routing_key: "compute" }, { ...JSON_BODY, body });
	}
	const read = [...linesOf(lines.join("").split("\n"), "x.jsonl")].map((line) => readLine(line)?.message);
	expect(read).toEqual(arg.map((item) => ({ method: "ping", args: { arg: item }, _timeout: 10n ** 20n })));
});
