import { expect, test } from "vitest";
import { ClosedLoop } from "./closed-loop.ts";
import { newId, readReply } from "./template.ts";

// The load generator looks at a whole reply once and compares bytes from then on: nothing may slip through.

const reply = (id: string, { call = id, state = "ok", failure = null as string | null } = {}) => {
	const fields = { result: { call, state }, failure, ending: true, _msg_id: id, _unique_id: newId() };
	return Buffer.from(JSON.stringify({ "oslo.version": "2.0", "oslo.message": JSON.stringify(fields) }));
};

const verified = () => {
	const id = newId();
	return readReply(reply(id), id).template;
};

/** One run of four calls, two at once; the replies to each are what `answer` returns for it. */
async function run(answer: (id: string, call: number) => readonly Buffer[]) {
	let call = 0;
	const send = () => {
		const id = newId();
		const replies = answer(id, call++);
		setImmediate(() => {
			for (const body of replies) loop.accept(body);
		});
		return id;
	};
	const loop = new ClosedLoop(send, verified(), { inFlight: 2, calls: 4, timeout: 0.5 });
	const { latencies, wrong, lost, stray } = await loop.run();
	return { right: latencies.length, wrong, lost, stray };
}

const SECOND = 1;

test.each<[name: string, answer: (id: string) => readonly Buffer[], counts: object]>([
	["right", (id) => [reply(id)], { right: 4, wrong: 0, lost: 0, stray: 0 }],
	["of another length", (id) => [reply(id, { state: "fine" })], { right: 3, wrong: 1, lost: 0, stray: 0 }],
	["one byte different", (id) => [reply(id, { state: "oh" })], { right: 3, wrong: 1, lost: 0, stray: 0 }],
	["the result of another call", (id) => [reply(id, { call: newId() })], { right: 3, wrong: 1, lost: 0, stray: 0 }],
	["a failure", (id) => [reply(id, { failure: "{}" })], { right: 3, wrong: 1, lost: 0, stray: 0 }],
	["no reply at all", () => [], { right: 3, wrong: 0, lost: 1, stray: 0 }],
	["to a call that was never made", () => [reply(newId())], { right: 3, wrong: 0, lost: 1, stray: 1 }],
	["given twice", (id) => [reply(id), reply(id)], { right: 4, wrong: 0, lost: 0, stray: 1 }],
	["not JSON", () => [Buffer.from("no")], { right: 3, wrong: 1, lost: 1, stray: 1 }],
])("an answer that is %s is counted as what it is", async (_name, answer, counts) => {
	expect(await run((id, call) => (call === SECOND ? answer(id) : [reply(id)]))).toEqual(counts);
});

test("a first answer is looked at in full", () => {
	const id = newId();
	expect(readReply(reply(id), id).result).toEqual({ call: id, state: "ok" });
	expect(() => readReply(reply(id, { failure: "{}" }), id)).toThrow(/expected a reply/);
	expect(() => readReply(reply(newId()), id)).toThrow(/expected a reply/);
});
