import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { InvalidMessage } from "../../src/messaging/errors.ts";
import { toJson } from "../../src/messaging/json.ts";
import {
	heartbeat,
	MAX_BODY_BYTES,
	openEnvelope,
	readReply,
	readRequest,
	requestFields,
	resultReply,
	sealEnvelope,
} from "../../src/messaging/message.ts";
import { leastCpu } from "../support/least-cpu.ts";

const open = (
	body: string | Buffer,
	contentType: string | undefined = "application/json",
	compression: string | undefined = undefined,
) => openEnvelope({ body: Buffer.from(body), contentType, compression });
const enveloped = (message: unknown, version: unknown = "2.0") =>
	toJson({ "oslo.version": version, "oslo.message": message });
const refusal = (body: string | Buffer, contentType?: string): string => {
	try {
		return `not refused: ${JSON.stringify(open(body, contentType))}`;
	} catch (error) {
		return error instanceof InvalidMessage ? error.message : `not an InvalidMessage: ${error}`;
	}
};

describe("the envelope", () => {
	/** what is accepted (oslo-messaging.md 3.2), the message in it */
	const ACCEPTED: readonly (readonly [why: string, body: string, message: Readonly<Record<string, unknown>>])[] = [
		["an envelope", enveloped('{"method":"m"}'), { method: "m" }],
		["Python's spaces", '{"oslo.version": "2.0", "oslo.message": "{\\"a\\": [1, null]}"}', { a: [1, null] }],
		["ASCII escapes", enveloped('{"a":"\\u00e9\\ud83d\\ude00"}'), { a: "é😀" }],
		["raw UTF-8", enveloped('{"a":"é😀"}'), { a: "é😀" }],
		["a lone surrogate, escaped", enveloped('{"a":"\\ud83d"}'), { a: "\ud83d" }],
		["an object without envelope", '{"method":"m"}', { method: "m" }],
		["an object with a half envelope", '{"oslo.version":"2.0"}', { "oslo.version": "2.0" }],
		["an object with the other half", '{"oslo.message":"{}"}', { "oslo.message": "{}" }],
		["the last of two messages", '{"oslo.version":"2.0","oslo.message":"{}","oslo.message":"{\\"a\\":1}"}', { a: 1 }],
		["a message that ends like two", enveloped('{"a":"\\",\\"x\\":\\""}'), { a: '","x":"' }],
		["the keys the other way round", '{"oslo.message":"{}","oslo.version":"2.0"}', {}],
		["more keys beside the envelope", '{"oslo.version":"2.0","oslo.message":"{}","x":1}', {}],
		// P7, row 31
		["NaN", enveloped('{"a":NaN,"b":"NaN \\"NaN"}'), { a: Number.NaN, b: 'NaN "NaN' }],
		["NaN beside the message", `{"x":NaN,${enveloped('{"a":-Infinity}').slice(1)}`, { a: Number.NEGATIVE_INFINITY }],
		// P8, row 32
		["2^70", enveloped('{"a":1180591620717411303424}'), { a: 2n ** 70n }],
		["no bytes", "", {}],
		["the last of two equal keys", enveloped('{"a":1,"a":2}'), { a: 2 }],
	];
	test.each(ACCEPTED)("takes %s", (_why, body, message) => expect(open(body)).toEqual(message));

	/** what is refused, what the log says about it */
	const REFUSED: readonly (readonly [why: string, body: string | Buffer, says: string])[] = [
		["white space", " ", "the body is not JSON"],
		["garbage", "\x00\x01garbage", "the body is not JSON"],
		["a byte order mark", "\ufeff{}", "the body is not JSON"],
		["bad UTF-8", Buffer.from('{"method":"m\xff"}', "latin1"), "the body is not UTF-8"],
		["an array", "[1]", "the body is not a JSON object"],
		["null", "null", "the body is not a JSON object"],
		["a string", '"{}"', "the body is not a JSON object"],
		["a compressed body", Buffer.from("789cab56ca4d2d", "hex"), "the body is not UTF-8"],
		["a newer minor version", enveloped("{}", "2.5"), 'oslo.version is "2.5", expected "2.0"'],
		["an older version", enveloped("{}", "1.0"), 'oslo.version is "1.0", expected "2.0"'],
		["a newer version", enveloped("{}", "3.0"), 'oslo.version is "3.0", expected "2.0"'],
		["a version without minor", enveloped("{}", "2"), 'oslo.version is "2", expected "2.0"'],
		["a version that is a number", enveloped("{}", 2), 'oslo.version is 2, expected "2.0"'],
		["a version that is null", enveloped("{}", null), 'oslo.version is null, expected "2.0"'],
		["a message that is an object", enveloped({}), "oslo.message is a object, expected a string of JSON"],
		["a message that is no JSON", enveloped("{"), "oslo.message is not JSON"],
		["a message that is an array", enveloped("[]"), "oslo.message is not a JSON object"],
		[
			"a version of too many digits",
			enveloped("{}", 2n ** 70n),
			'oslo.version is 1180591620717411303424, expected "2.0"',
		],
		["a message encoded twice", enveloped('"{}"'), "oslo.message is not a JSON object"],
		["Nan", enveloped('{"args":{"a":Nan}}'), "oslo.message is not JSON"],
	];
	test.each(REFUSED)("row 25, 29, 30: refuses %s", (_why, body, says) => expect(refusal(body)).toBe(says));

	test.each([undefined, "text/plain", "application/json; charset=utf-8", "Application/JSON", ""])(
		"P5: refuses content_type %j, as Python does",
		(contentType) => {
			expect(() => openEnvelope({ body: Buffer.from("{}"), contentType, compression: undefined })).toThrow(
				InvalidMessage,
			);
		},
	);

	test("row 26: refuses a body above 4 MiB before it decodes it", () => {
		expect(refusal(Buffer.alloc(MAX_BODY_BYTES + 1))).toMatch(/has 4194305 bytes, expected at most 4194304/);
		expect(refusal(Buffer.alloc(MAX_BODY_BYTES))).toBe("the body is not JSON");
	});

	test("a refusal shows no piece of the body: it may be a token", () => {
		const token = "gAAAAA-token ".repeat(50);
		const bodies = [token, `{"a":"${token}`, enveloped(token), enveloped(`{"a":"${token}"`)];
		for (const body of bodies) expect(refusal(body)).not.toContain("gAAAAA");
		expect(refusal(enveloped("{}", token)).length).toBeLessThan(100);
	});

	test("row 33: __proto__ in a message is a key like any other", () => {
		const message = open(enveloped('{"method":"m","args":{"__proto__":{"polluted":1}},"__proto__":{"version":"9.9"}}'));
		expect(readRequest(message)).toMatchObject({ method: "m", version: "1.0" });
		expect(Object.keys(readRequest(message).args)).toEqual(["__proto__"]);
		expect(Reflect.get({}, "polluted")).toBeUndefined();
	});

	test("an empty header compression is none, and a body without bytes is a message whatever its headers", () => {
		expect(open('{"method":"m"}', "application/json", "")).toEqual({ method: "m" });
		expect(open("", "text/plain", "application/x-lzma")).toEqual({});
	});

	test("row 40: a compressed body counts as large as it is when it is open", () => {
		const body = deflateSync(enveloped(`{"method":"${"m".repeat(MAX_BODY_BYTES)}"}`));
		expect(() => open(body, "application/json", "gzip")).toThrow(InvalidMessage);
	});

	const deep = `{"a":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`;
	const many = `{"a":[${"{},".repeat(1_000_000)}{}]}`;
	/** Bodies that cost much to read, what the log says about them. */
	const COSTLY: readonly (readonly [row: string, what: string, body: string, says: string, milliseconds: number])[] = [
		["28", "depth in the body", deep, "the body is nested deeper than 64 levels", 10],
		["28", "depth in the message", enveloped(deep), "oslo.message is nested deeper than 64 levels", 10],
		["27", "many values in the body", many, "the body has more than 200000 tokens", 100],
		["27", "many values in the message", enveloped(many), "oslo.message has more than 200000 tokens", 100],
		["27", "a string that does not end", `"${'\\"'.repeat(1_000_000)}`, "the body is not JSON", 100],
		["27", "quotes and backslashes", '\\"'.repeat(1_000_000), "the body is not JSON", 100],
		["27", "a long string beside NaN", `{"a":"${"a".repeat(4_000_000)}","b":NaN,`, "the body is not JSON", 100],
	];
	test.each(COSTLY)("row %s: %s is refused without a stall", (_row, _what, body, says, milliseconds) => {
		const bytes = Buffer.from(body);
		expect(leastCpu(() => expect(refusal(bytes)).toBe(says), milliseconds)).toBeLessThan(milliseconds);
	});

	test("what is sealed opens again", () => {
		const fields = {
			method: "m",
			args: { text: 'é😀\ud83d\n"', nothing: null, list: [1.5, true, 2n ** 70n, Number.NaN] },
		};
		expect(open(sealEnvelope(fields))).toEqual(fields);
	});
});

describe("a request", () => {
	test("P4: a probe may leave out all but the method and where to reply", () => {
		const probe = { method: "pod_health_probe", _msg_id: "1", _reply_q: "reply_1", _timeout: null };
		expect(readRequest(probe)).toEqual({
			method: "pod_health_probe",
			args: {},
			namespace: null,
			version: "1.0",
			replyTo: { queue: "reply_1", msgId: "1" },
			monitorTimeout: null,
			uniqueId: undefined,
			context: expect.anything(),
		});
	});

	test("the context is every key with the prefix, without it", () => {
		const fields = { method: "m", _context_request_id: "req-1", _context_: "empty", _contextual: 1, context_user: 2 };
		const { context } = readRequest(fields);
		expect([...context]).toEqual([
			["request_id", "req-1"],
			["", "empty"],
		]);
		const names = ["request_id", "", "ual", "user", "constructor"];
		expect(names.map((name) => context.get(name))).toEqual(["req-1", "empty", undefined, undefined, undefined]);
	});

	/** one field of the request, what becomes of it */
	const FIELDS: readonly (readonly [
		fields: Readonly<Record<string, unknown>>,
		read: Readonly<Record<string, unknown>>,
	])[] = [
		[{ namespace: "baseapi" }, { namespace: "baseapi" }],
		// P21
		[{ namespace: "" }, { namespace: "" }],
		[{ namespace: null }, { namespace: null }],
		[{ version: "6.0" }, { version: "6.0" }],
		// Only an absent version is 1.0; null is compatible with nothing, as in Python.
		[{ version: null }, { version: "None" }],
		[{ version: 6 }, { version: "6 (no text)" }],
		[{ version: 2n ** 70n }, { version: "1180591620717411303424 (no text)" }],
		[{ version: ["6.0"] }, { version: '["6.0"] (no text)' }],
		[{ version: { toString: 1, valueOf: 1 } }, { version: '{"toString":1,"valueOf":1} (no text)' }],
		[{ namespace: ["baseapi"] }, { namespace: '["baseapi"]' }],
		[{ namespace: { toString: 1, valueOf: 1 } }, { namespace: '{"toString":1,"valueOf":1}' }],
		[{ args: { a: 1 } }, { args: { a: 1 } }],
		// A call without keyword arguments is a failure in Python too.
		[{ args: null }, { method: "", args: {} }],
		[{ args: ["a"] }, { method: "", args: {} }],
		[{ args: "a" }, { method: "", args: {} }],
		// Row 37: a cast.
		[{}, { replyTo: undefined }],
		[{ _msg_id: null, _reply_q: null }, { replyTo: undefined }],
		[{ _msg_id: "1" }, { replyTo: undefined }],
		[{ _reply_q: "reply_1" }, { replyTo: undefined }],
		[{ _msg_id: 1, _reply_q: "reply_1" }, { replyTo: undefined }],
		[{ _timeout: 60 }, { monitorTimeout: 60 }],
		[{ _unique_id: "u" }, { uniqueId: "u" }],
		[{ _unique_id: 7 }, { uniqueId: undefined }],
		// Ids are remembered: four thousand of a megabyte each would be too many.
		[{ _unique_id: "u".repeat(129) }, { uniqueId: undefined }],
	];
	test.each(FIELDS)("%o", (fields, read) => expect(readRequest({ method: "m", ...fields })).toMatchObject(read));

	test.each([{}, { method: null }, { method: 1 }, { method: { auth_token: "t0k3n" } }, { method: ["m"] }])(
		"%j names no method",
		(fields) => {
			expect(readRequest(fields).method).toBe("");
		},
	);

	test("is written in Python's order, with a namespace and a version only when the target has one", () => {
		const target = { namespace: "baseapi", version: "1.1" };
		expect(JSON.stringify(requestFields("ping", { arg: "x" }, target, { request_id: "req-1" }))).toBe(
			'{"method":"ping","args":{"arg":"x"},"namespace":"baseapi","version":"1.1","_context_request_id":"req-1"}',
		);
		expect(JSON.stringify(requestFields("ping", {}, {}))).toBe('{"method":"ping","args":{}}');
	});
});

describe("a reply", () => {
	test("P2: has all five fields in Python's order, null for no result", () => {
		const { _unique_id, ...fields } = open(resultReply("id", undefined));
		expect(JSON.stringify(fields)).toBe('{"result":null,"failure":null,"ending":true,"_msg_id":"id"}');
		expect(_unique_id).toMatch(/^[0-9a-f]{32}$/);
	});

	test.each([false, 0, "", [], {}])("%j is a result", (result) => {
		expect(readReply(open(resultReply("id", result))).result).toEqual(result);
	});

	test("a heartbeat is not the end", () => {
		expect(readReply(open(heartbeat("id")))).toEqual({ msgId: "id", result: null, failure: null, ending: false });
	});

	/** what a client makes of odd replies (oslo-messaging.md 4.2) */
	const ODD: readonly (readonly [
		fields: Readonly<Record<string, unknown>>,
		reply: Readonly<Record<string, unknown>>,
	])[] = [
		[
			{ result: 1, ending: true },
			{ result: 1, failure: null, ending: true },
		],
		[
			{ failure: null, ending: true },
			{ result: null, ending: true },
		],
		[
			{ result: 1, failure: "" },
			{ result: 1, failure: null, ending: false },
		],
		[
			{ result: 1, ending: 1 },
			{ result: 1, ending: true },
		],
		[{ result: 1, failure: "{}", ending: true }, { failure: "{}" }],
		[{ failure: { class: "C" }, ending: true }, { failure: '{"class":"C"}' }],
	];
	test.each(ODD)("%j", (fields, reply) => expect(readReply({ _msg_id: "id", ...fields })).toMatchObject(reply));

	test.each([{}, { _msg_id: 1 }])("%j is none", (fields) => {
		expect(() => readReply(fields)).toThrow(InvalidMessage);
	});
});
