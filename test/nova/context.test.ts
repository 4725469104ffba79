import { expect, test } from "vitest";
import { deserializeContext } from "../../src/nova/context.ts";

const REQ = "req-0d5ba0b1-0c1c-4d0a-8f0e-6d3c5f7b1a2e";

test("ids are kept, everything else is dropped", () => {
	const raw = {
		request_id: REQ,
		global_request_id: REQ,
		user_id: "8ab0d6a3b4e14f6db77f3f5f2c1d9b10",
		project_id: "6f70656e737461636b20342065766572",
		auth_token: "gAAAAABn",
		service_catalog: [{ endpoints: [] }],
		user_name: "admin",
		remote_address: "192.0.2.1",
		trace_info: { hmac_key: "k" },
	};
	expect(deserializeContext(new Map(Object.entries(raw)))).toEqual({
		request_id: REQ,
		global_request_id: REQ,
		user_id: raw.user_id,
		project_id: raw.project_id,
	});
});

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

test.each(["00", "01", "ff"])("a request of a trace has a span of its own in it, flags %s", (flags) => {
	const [one, other] = [1, 2].map(() => deserializeContext(new Map(), `00-${TRACE}-00f067aa0ba902b7-${flags}`));
	expect(one).toEqual({ traceparent: expect.stringMatching(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-${flags}$`)) });
	expect(one?.traceparent).not.toContain("00f067aa0ba902b7");
	expect(other).not.toEqual(one);
});

test("oslo.messaging from 18.3 on tells the trace in the context; a header is nearer", () => {
	const [raw, other] = [new Map([["traceparent", `00-${TRACE}-00f067aa0ba902b7-01`]]), "a".repeat(32)];
	expect(deserializeContext(raw).traceparent).toMatch(new RegExp(`^00-${TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`));
	expect(deserializeContext(raw, "no trace").traceparent).toContain(TRACE);
	expect(deserializeContext(raw, `00-${other}-00f067aa0ba902b7-01`).traceparent).toContain(other);
});

test.each([
	["osprofiler's, which has a key", { trace_info: { hmac_key: "k", base_id: TRACE, parent_id: TRACE } }],
	["one that is none", { traceparent: `00-${TRACE}-00f067aa0ba902b7-01\nERROR` }],
	["a list of one", { traceparent: [`00-${TRACE}-00f067aa0ba902b7-01`] }],
	["what comes with it", { tracestate: "vendor=secret", baggage: "user=jane" }],
])("no trace of the context: %s", (_what, raw) => {
	expect(deserializeContext(new Map<string, unknown>(Object.entries(raw)))).toEqual({});
});

test.each([
	["request_id", "req-1"],
	["request_id", `${REQ}\n2026-11-22 ERROR`],
	["user_id", "a b"],
	["user_id", "x".repeat(65)],
	["project_id", { secret: 1 }],
	["global_request_id", null],
])("a %s that is no id is dropped: %j", (key, value) => {
	expect(deserializeContext(new Map([[key, value]]))).toEqual({});
});
