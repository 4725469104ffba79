import { setImmediate as handedOut } from "node:timers/promises";
import { expect, test } from "vitest";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { Inbox } from "./inbox.ts";
import { transportContract } from "./transport-contract.ts";

transportContract("MemoryTransport", () => new MemoryTransport());

test("a delivery ends once, whatever it is told afterwards", async () => {
	const transport = new MemoryTransport();
	const inbox = new Inbox();
	const target = { exchange: "x", topic: "t", server: "s" };
	await transport.listen(target, 1, inbox.hold);
	for (const text of ["a", "b", "c"]) {
		await transport.publish({ kind: "topic", exchange: "x", key: "t" }, Buffer.from(text), { timeout: 1 });
	}
	const first = await inbox.at(0);
	first.ack();
	first.ack();
	first.reject();
	first.requeue();
	await inbox.at(1);
	await handedOut();
	expect(inbox.texts).toEqual(["a", "b"]);
	inbox.deliveries[1]?.ack();
	await inbox.at(2);
	await handedOut();
	expect(inbox.texts).toEqual(["a", "b", "c"]);
});

test("a delivery never arrives inside the publish that caused it", async () => {
	const transport = new MemoryTransport();
	const order: string[] = [];
	await transport.listenForReplies("reply_1", () => void order.push("delivered"));
	const published = transport.publish({ kind: "reply", queue: "reply_1" }, Buffer.from("x"), { timeout: 1 });
	order.push("called");
	await published;
	order.push("published");
	await expect.poll(() => order).toEqual(["called", "published", "delivered"]);
});
