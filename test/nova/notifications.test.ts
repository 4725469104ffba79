import { expect, test } from "vitest";
import { conclude } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { openEnvelope } from "../../src/messaging/message.ts";
import { Notifier } from "../../src/messaging/notifier.ts";
import { deserializeContext } from "../../src/nova/context.ts";
import { checkNotifications } from "../../src/nova/notifications.ts";
import { Inbox } from "../messaging/inbox.ts";
import { recordingLog } from "../support/log.ts";

const REQUEST = {
	instance_uuid: "0002587c-b09d-468a-9995-53d16eeb8a15",
	source_host: "cmp-01",
	dest_host: "cmp-02",
	ports: [],
	announced: { count: 1, names: "", complete: true },
};

test("a notification has the request's ids in its context, and no trace, which is no field of Nova's", async () => {
	const transport = new MemoryTransport();
	const inbox = new Inbox();
	await transport.listen({ exchange: "nova", topic: "heard", server: "info" }, 10, inbox.ack);
	const { log } = recordingLog();
	const notifier = new Notifier({ transport, exchange: "nova", topics: ["heard"], publisherId: "s:h", log });
	const request_id = "req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42";
	const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
	const context = deserializeContext(new Map([["request_id", request_id]]), traceparent);
	checkNotifications(notifier)(REQUEST, conclude("accept", [], DEFAULT_POLICY, []), context);
	const fields = openEnvelope(await inbox.at(0));
	expect(fields).toMatchObject({ event_type: "migration_compat.check.end" });
	const ids = Object.entries(fields).filter(([name]) => name.startsWith("_context_"));
	expect(ids).toEqual([["_context_request_id", request_id]]);
});
