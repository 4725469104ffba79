import { describe, expect, test } from "vitest";
import { MessageDeliveryFailure } from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { openEnvelope } from "../../src/messaging/message.ts";
import { Notifier } from "../../src/messaging/notifier.ts";
import { gate } from "../support/gate.ts";
import { recordingLog } from "../support/log.ts";
import { Inbox } from "./inbox.ts";

const NOTIFICATION = {
	event_type: "migration_compat.check.end",
	priority: "INFO",
	payload: { a: 1 },
	context: { request_id: "req-1" },
} as const;

/** A notifier on a bus in memory, and what a listener of `heard.info` gets. */
async function notify(topics: readonly string[], transport = new MemoryTransport()) {
	const { log, lines } = recordingLog();
	const inbox = new Inbox();
	await transport.listen({ exchange: "nova", topic: "heard", server: "info" }, 10, inbox.ack);
	return { notifier: new Notifier({ transport, exchange: "nova", topics, publisherId: "s:h", log }), inbox, lines };
}

describe("a notification", () => {
	test("has the fields of oslo's, and goes to the queue of its priority", async () => {
		const { notifier, inbox, lines } = await notify(["heard"]);
		notifier.notify(NOTIFICATION);
		await notifier.settled();
		expect(openEnvelope(await inbox.at(0))).toEqual({
			message_id: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/),
			publisher_id: "s:h",
			event_type: "migration_compat.check.end",
			priority: "INFO",
			payload: { a: 1 },
			timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}000$/),
			_context_request_id: "req-1",
			_unique_id: expect.stringMatching(/^[0-9a-f]{32}$/),
		});
		expect(lines).toEqual([]);
	});

	test("goes to every topic as the same notification; to none, when there are none", async () => {
		const { notifier, inbox } = await notify(["heard", "heard"]);
		notifier.notify(NOTIFICATION);
		const [first, second] = [openEnvelope(await inbox.at(0)), openEnvelope(await inbox.at(1))];
		expect(second["message_id"]).toBe(first["message_id"]);
		expect(second["_unique_id"]).not.toBe(first["_unique_id"]);
		const none = await notify([]);
		none.notifier.notify(NOTIFICATION);
		await none.notifier.settled();
		expect(none.inbox.deliveries).toEqual([]);
	});

	test("that nobody listens to is said once", async () => {
		const { notifier, lines } = await notify(["unheard", "heard"]);
		for (let count = 0; count < 3; count++) notifier.notify(NOTIFICATION);
		await notifier.settled();
		expect(lines).toEqual([
			expect.stringContaining("WARNING novacompat.test [-] nobody has ever listened to nova/unheard.info"),
		]);
	});

	test("that is not taken by the broker is lost, and said; of many in a row once", async () => {
		class Unreachable extends MemoryTransport {
			override async publish(): Promise<never> {
				throw new MessageDeliveryFailure("no connection to RabbitMQ");
			}
		}
		const { notifier, lines } = await notify(["heard"], new Unreachable());
		for (let count = 0; count < 3; count++) notifier.notify(NOTIFICATION);
		await notifier.settled();
		expect(lines).toEqual([
			expect.stringContaining("a notification to nova/heard.info is lost: no connection to RabbitMQ"),
		]);
	});

	test("is waited for at the end, and never before", async () => {
		const slow = gate();
		class Slow extends MemoryTransport {
			override async publish(...args: Parameters<MemoryTransport["publish"]>) {
				await slow.opened;
				return super.publish(...args);
			}
		}
		const { notifier, inbox } = await notify(["heard"], new Slow());
		notifier.notify(NOTIFICATION);
		const settled = notifier.settled();
		expect(inbox.deliveries).toEqual([]);
		slow.open();
		await settled;
		await inbox.at(0);
	});
});
