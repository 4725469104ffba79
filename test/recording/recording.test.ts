import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareOutcomes, outcomeOf } from "../../src/recording/compare.ts";
import { conversationsOf } from "../../src/recording/conversation.ts";
import { InvalidRecording } from "../../src/recording/invalid-recording.ts";
import { Pseudonyms } from "../../src/recording/pseudonyms.ts";
import { linesOf, readLine } from "../../src/recording/recording.ts";

const FIREHOSE = `${import.meta.dirname}/firehose`;

function read(text: string) {
	return [...linesOf(text.split("\n"), "x.jsonl")].flatMap((line) => readLine(line) ?? []);
}

describe("captures of RabbitMQ's firehose", () => {
	/** file, how many messages, what each call got; a cast gets nothing */
	const CAPTURES: Readonly<Record<string, readonly [messages: number, got: readonly unknown[]]>> = {
		"oslo-call.jsonl": [2, [{ result: { "nova_object.name": "LibvirtLiveMigrateData", echo: { uuid: "abc" } } }]],
		"oslo-cast.jsonl": [1, []],
		"oslo-fanout.jsonl": [1, []],
	};

	test.each(Object.entries(CAPTURES))("%s: each message once, calls with their replies", (file, [count, got]) => {
		const messages = read(readFileSync(`${FIREHOSE}/${file}`, "utf8"));
		expect(messages).toHaveLength(count);
		expect(messages[0]).toMatchObject({ time: expect.stringMatching(/^\d{4}-.*Z$/), exchange: expect.any(String) });
		const conversations = conversationsOf(messages);
		expect(conversations.map(({ reply }) => reply && outcomeOf(reply.message))).toEqual(got);
	});

	test("all of them can be read", () => {
		for (const file of readdirSync(FIREHOSE)) {
			const messages = read(readFileSync(`${FIREHOSE}/${file}`, "utf8"));
			expect(messages.length, file).toBeGreaterThan(0);
		}
	});

	test("of a call that was kept waiting it is the reply that ended it", () => {
		const [conversation] = conversationsOf(read(readFileSync(`${FIREHOSE}/oslo-call_monitor.jsonl`, "utf8")));
		expect(conversation?.reply?.message).toMatchObject({ ending: true });
	});
});

test.each([
	["{", "x.jsonl:1"],
	['{"exchange":"a"}', "x.jsonl:1"],
	['{"exchange":"","routing_key":"r","message":{}}\n\nno', "x.jsonl:3"],
	['{"exchange":"","routing_key":"r","message":{}}\n[]', "x.jsonl:2"],
])("%j is no recording, and it says where", (text, place) => {
	expect(() => read(text)).toThrow(InvalidRecording);
	expect(() => read(text)).toThrow(`${place}: no recorded message, expected exchange, routing_key and message`);
});

describe("what is compared", () => {
	const decision = (id: string, more: object = {}) => ({
		result: { id, verdict: "reject", text: `too old [${id}]`, snapshots: { a: { generation: id.length } }, ...more },
	});

	test("all of a result but which snapshots there were", () => {
		expect(compareOutcomes(decision("fb42b4f2f40e"), decision("fb42b4f2f40e", { snapshots: {} }))).toEqual([]);
		expect(compareOutcomes(decision("fb42b4f2f40e"), decision("fb42b4f2f40e", { verdict: "accept" }))).toEqual([
			{ path: "result.verdict", recorded: '"reject"', now: '"accept"' },
		]);
		expect(compareOutcomes({ result: null }, decision("fb42b4f2f40e")).map(({ path }) => path)).toEqual([
			"result",
			"result.id",
			"result.verdict",
			"result.text",
		]);
	});

	test("how long ago an agent failed, or a host was read, is none of it", () => {
		const said = (message: string) => ({ result: { text: message } });
		const [refused, stale] = ["the agent of cmp-09 cannot be reached (ECONNREFUSED)", "has not read its devices"];
		expect(compareOutcomes(said(refused), said(`${refused}, asked 0.8 s ago`))).toEqual([]);
		// Recordings of earlier builds have it without a word.
		expect(compareOutcomes(said(`${refused}, asked 12.3 s ago`), said(`${refused} 0.8 s ago`))).toEqual([]);
		expect(compareOutcomes(said(`${stale} for 61 s (limit 60 s)`), said(`${stale} for 99 s (limit 60 s)`))).toEqual([]);
		const decided = (age: number) => said(`${refused}; decided with its snapshot of ${age} s ago`);
		expect(compareOutcomes(decided(31), decided(4))).toEqual([]);
		expect(
			compareOutcomes(said(`${stale} for 61 s (limit 60 s)`), said(`${stale} for 61 s (limit 90 s)`)),
		).toHaveLength(1);
	});

	test("ids of decisions only where ids are real", () => {
		const [was, is] = [decision("fb42b4f2f40e"), decision("aaaab4f2f40e")];
		expect(compareOutcomes(was, is).map(({ path }) => path)).toEqual(["result.id", "result.text"]);
		expect(compareOutcomes(was, is, true)).toEqual([]);
	});

	test("a number by its digits, and by what it is", () => {
		const numbers = [2n ** 70n, String(2n ** 70n), Number.NaN, Number.NEGATIVE_INFINITY, null];
		for (const was of numbers) {
			for (const is of numbers)
				expect(compareOutcomes({ result: was }, { result: is }).length === 0).toBe(Object.is(was, is));
		}
	});

	test("a failure by what it is, never by its traceback", () => {
		const failure = (message: string, tb: string) => ({
			failure: JSON.stringify({ class: "E", module: "m", message, tb: [tb] }),
		});
		expect(compareOutcomes(outcomeOf(failure("a", "x")), outcomeOf(failure("a", "y")))).toEqual([]);
		expect(compareOutcomes(outcomeOf(failure("a", "x")), outcomeOf(failure("b", "x")))).toEqual([
			{ path: "failure.message", recorded: '"a"', now: '"b"' },
		]);
	});
});

describe("pseudonyms", () => {
	const uuid = "0002587c-b09d-468a-9995-53d16eeb8a15";
	const mdev = "11112222-3333-4444-5555-666677778888";
	const port = "c6f51315-9202-416f-9e2f-eb78b3ac36d9";
	const boot = "6F7A1F6E-6D9B-4F7E-8F0E-1C2D3E4F5A6B";
	const digest = "0123456789abcdef0123456789abcdef";
	const bystander = "66d19c9b-a157-42ee-8b0f-90544f9de658";
	const project = "8ab0d6a3b4e14f6db77f3f5f2c1d9b10";
	const message = {
		_context_request_id: `req-${uuid}`,
		_context_project_id: project,
		_context_user_id: "jane",
		_reply_q: `reply_${project}`,
		args: {
			instance: { uuid, host: "cmp-01", network_info: JSON.stringify([{ id: port, vnic_type: "direct" }]) },
			request: { vifs: [{ id: port }] },
		},
		snapshot: { instances: [uuid, bystander], boot_id: boot, devices: [digest] },
		text: `instance ${uuid} of ${project} has ${mdev}`,
		mapping: { [mdev]: "0000:3b:10.0", [uuid]: "x" },
	};
	const made = (pseudonyms: Pseudonyms) => {
		pseudonyms.learn(message);
		return pseudonyms.applyTo(message);
	};

	test("in the place of every id that was learnt, of the same form, in whatever text it is", () => {
		const one = made(new Pseudonyms());
		const text = JSON.stringify(one);
		for (const id of [uuid, bystander, mdev, port, boot, project, "jane"]) expect(text).not.toContain(id);
		const { uuid: other } = one.args.instance;
		const [vif] = one.args.request.vifs;
		const device = Object.keys(one.mapping).find((key) => key !== other);
		expect(other).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
		expect(one).toMatchObject({
			_context_request_id: `req-${other}`,
			_context_project_id: expect.stringMatching(/^[0-9a-f]{32}$/),
			_context_user_id: expect.stringMatching(/^id-[0-9a-f]{12}$/),
			args: { instance: { host: "cmp-01", network_info: JSON.stringify([{ id: vif?.id, vnic_type: "direct" }]) } },
			snapshot: {
				instances: [other, expect.any(String)],
				boot_id: expect.stringMatching(/^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$/),
				devices: [digest],
			},
			text: `instance ${other} of ${one._context_project_id} has ${device}`,
			mapping: { [String(device)]: "0000:3b:10.0", [other]: "x" },
		});
		expect(one._reply_q).toBe(`reply_${one._context_project_id}`);
	});

	test("in the order of what they stand for: of two devices that are as good the one is chosen that was", () => {
		fc.assert(
			fc.property(fc.uniqueArray(fc.uuid(), { maxLength: 20 }), (ids) => {
				const pseudonyms = new Pseudonyms();
				pseudonyms.learn(ids);
				expect(pseudonyms.applyTo([...ids].sort())).toEqual(pseudonyms.applyTo(ids).toSorted());
			}),
		);
	});

	test("others in the next recording", () => {
		expect(made(new Pseudonyms()).args.instance.uuid).not.toBe(made(new Pseudonyms()).args.instance.uuid);
	});
});
