import { describe, expect, test } from "vitest";
import { noReplies, noRequests } from "../../src/messaging/counts.ts";
import { MessageDeliveryFailure, RpcFailure } from "../../src/messaging/errors.ts";
import type { Delivery } from "../../src/messaging/transport.ts";
import { type Fields, type Handler, scripted, serve } from "./serving.ts";

const OK: Handler = async () => "ok";
const NEVER: Handler = () => new Promise(() => undefined);
const throwing = (error: Error) => async () => Promise.reject(error);

describe("a request counts once, as what it came to", () => {
	/** what it is, the method, what it comes to, fields of the request, of its delivery */
	const ROWS: readonly (readonly [string, Handler, string, Fields, Partial<Delivery>])[] = [
		["a call", OK, "ok", {}, {}],
		["a cast", OK, "ok", { _msg_id: undefined, _reply_q: undefined }, {}],
		["a refusal", throwing(new RpcFailure("MigrationPreCheckError", "nova.exception", "no")), "ok", {}, {}],
		["arguments that it cannot use", throwing(new RpcFailure("ValueError", "builtins", "no")), "invalid", {}, {}],
		["arguments that it does not take", OK, "invalid", { args: { y: 1 } }, {}],
		["another method", OK, "unknown_method", { method: "n" }, {}],
		["another version", OK, "unsupported_version", { version: "7.0" }, {}],
		["a mistake of ours", throwing(new TypeError("oops")), "failed", {}, {}],
		["no answer in its time", NEVER, "expired", {}, { expiration: "400" }],
		["too large", OK, "oversize", {}, { tooLarge: 5_000_000 }],
		["another type", OK, "invalid", {}, { contentType: "text/html" }],
	];
	test.each(ROWS)("%s: %j", async (_name, handler, outcome, fields, delivery) => {
		const { transport, server, request } = await serve(handler);
		const taken = scripted(request(fields), delivery);
		transport.deliver(taken.delivery);
		await expect.poll(() => taken.ended).toHaveLength(1);
		expect(server.requests).toEqual({ ...noRequests(), [outcome]: 1 });
		expect(server.inFlight).toBe(0);
	});

	test("one that is answered for in its time: expired, whatever the answer is", async () => {
		const refuse = () => {
			throw new RpcFailure("MigrationPreCheckError", "nova.exception", "too late");
		};
		const { transport, server, request } = await serve(NEVER, { onTimeUp: refuse });
		const taken = scripted(request(), { expiration: "400" });
		transport.deliver(taken.delivery);
		await expect.poll(() => taken.ended).toEqual(["ack"]);
		expect(server.requests).toEqual({ ...noRequests(), expired: 1 });
	});

	test("the same id again is a duplicate; what is here is in flight", async () => {
		const { transport, server, request } = await serve(NEVER);
		for (const _ of [1, 2]) transport.deliver(scripted(request({ _unique_id: "u" })).delivery);
		await expect.poll(() => server.requests).toEqual({ ...noRequests(), duplicate: 1 });
		expect(server.inFlight).toBe(1);
	});
});

describe("a reply counts once, as what became of it", () => {
	test("confirmed, returned, dropped", async () => {
		const { transport, server, request, send } = await serve(OK, { missingQueuePatience: 0 });
		await send(request());
		await expect.poll(() => server.replies).toEqual({ ...noReplies(), confirmed: 1 });
		await send(request({ _reply_q: "reply_gone" }));
		await expect.poll(() => server.replies).toEqual({ ...noReplies(), confirmed: 1, returned: 1 });
		for (const queue of ["reply_gone", "compute"]) await send(request({ _reply_q: queue }));
		await expect.poll(() => server.replies).toEqual({ ...noReplies(), confirmed: 1, returned: 1, dropped: 2 });
		expect(transport.repliedTo).toContain("reply_gone");
	});

	test("not confirmed in the time of the call", async () => {
		const { transport, server, request } = await serve(OK);
		transport.publish = async () => Promise.reject(new MessageDeliveryFailure("no connection"));
		transport.deliver(scripted(request(), { expiration: "400" }).delivery);
		await expect.poll(() => server.replies).toEqual({ ...noReplies(), timeout: 1 });
	});
});
