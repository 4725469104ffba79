import fc from "fast-check";
import { expect, test } from "vitest";
import { dispatch, type Endpoint } from "../../src/messaging/endpoint.ts";
import { RpcFailure } from "../../src/messaging/errors.ts";
import { openEnvelope, readRequest, resultReply } from "../../src/messaging/message.ts";
import { deserializeContext } from "../../src/nova/context.ts";

/** `npm run test:fuzz` tries a million. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 2_000);
const TIMEOUT = 600_000;

/** JSON that a JavaScript object could not be written to. */
class Text {
	readonly json: string;
	constructor(json: string) {
		this.json = json;
	}
}

function text(item: unknown): string {
	return item instanceof Text ? item.json : JSON.stringify(item);
}

function objectText(fields: readonly (readonly [string, unknown])[]): Text {
	return new Text(`{${fields.map(([name, item]) => `${JSON.stringify(name)}:${text(item)}`).join()}}`);
}

/** Names that JavaScript has plans for, beside those that a request has. */
const hostile = fc.constantFrom("__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "polluted");
const usual = fc.constantFrom("method", "args", "namespace", "version", "_reply_q", "_msg_id", "_context_request_id");
const key = fc.oneof(
	hostile,
	usual,
	hostile.map((name) => `_context_${name}`),
);
const { value } = fc.letrec((tie) => ({
	value: fc.oneof(
		{ maxDepth: 4, withCrossShrink: true },
		fc.constantFrom(null, true, "polluted", "echo", 1.5, "6.0"),
		fc.array(tie("value"), { maxLength: 3 }).map((items) => new Text(`[${items.map(text).join()}]`)),
		tie("object"),
	),
	object: fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }).map(objectText),
}));
const message = fc.array(fc.tuple(key, value), { maxLength: 8 }).map(objectText);

const ENDPOINTS: readonly Endpoint<unknown>[] = [
	{
		namespace: null,
		version: "6.0",
		methods: new Map([["echo", { required: [], optional: "any", handler: async (args) => args }]]),
	},
];

test("row 33: whatever keys a message has, no object gets anything from it that it was not sent", {
	timeout: TIMEOUT,
}, () => {
	fc.assert(
		fc.property(message, fc.boolean(), ({ json }, isSealed) => {
			const body = isSealed ? JSON.stringify({ "oslo.version": "2.0", "oslo.message": json }) : json;
			const delivery = { body: Buffer.from(body), contentType: "application/json", compression: undefined };
			const request = readRequest(openEnvelope(delivery));
			try {
				dispatch(ENDPOINTS, request);
			} catch (error) {
				if (!(error instanceof RpcFailure)) throw error;
			}
			resultReply("id", { args: request.args, context: deserializeContext(request.context) });
			for (const innocent of [{}, [], "", request, () => undefined]) {
				expect(Reflect.get(Object(innocent), "polluted")).toBeUndefined();
			}
			expect(Object.getPrototypeOf(request.args)).toBe(Object.prototype);
		}),
		{ numRuns: RUNS },
	);
});
