import { expect, test } from "vitest";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { transportContract } from "./transport-contract.ts";

transportContract("MemoryTransport", () => new MemoryTransport());

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
