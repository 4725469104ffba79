import { describe, expect, onTestFinished, test } from "vitest";
import { newId } from "../../src/messaging/message.ts";
import { fanoutExchange, type ServerTarget, serverKey } from "../../src/messaging/target.ts";
import type { Destination, Transport } from "../../src/messaging/transport.ts";
import { Inbox } from "./inbox.ts";

const OPTIONS = { timeout: 5_000 };
const PREFETCH = 64;

/** What every Transport does, whatever carries its messages. Each test has a transport and names of its own. */
export function transportContract(name: string, open: () => Transport): void {
	function setUp() {
		const transport = open();
		onTestFinished(() => transport.close());
		const [exchange, topic] = [`x_${newId()}`, `t_${newId()}`];
		const a: ServerTarget = { exchange, topic, server: "host-a" };
		const b: ServerTarget = { exchange, topic, server: "host-b" };
		const toTopic: Destination = { kind: "topic", exchange, key: topic };
		const toServer = (target: ServerTarget): Destination => ({ kind: "topic", exchange, key: serverKey(target) });
		const toAll: Destination = { kind: "fanout", exchange: fanoutExchange(a) };
		const send = (to: Destination, text: string, expiration?: number) =>
			transport.publish(to, Buffer.from(text), expiration === undefined ? OPTIONS : { ...OPTIONS, expiration });
		const listen = async (target: ServerTarget, prefetch = PREFETCH, how: "ack" | "hold" = "ack") => {
			const inbox = new Inbox();
			return { inbox, consumer: await transport.listen(target, prefetch, inbox[how]) };
		};
		/** A message there and back: what was on its way before has arrived. */
		const fence = async () => {
			const inbox = new Inbox();
			const queue = `reply_${newId()}`;
			const consumer = await transport.listenForReplies(queue, inbox.ack);
			await send({ kind: "reply", queue }, "fence");
			await inbox.at(0);
			await consumer.cancel();
		};
		return { transport, a, b, toTopic, toServer, toAll, send, listen, fence };
	}

	describe(`${name} as a Transport`, () => {
		test("the topic is one queue: its servers take turns", async () => {
			const { a, b, toTopic, send, listen } = setUp();
			const [first, second] = [await listen(a), await listen(b)];
			const sent = ["0", "1", "2", "3", "4", "5", "6", "7"];
			for (const text of sent) expect(await send(toTopic, text)).toBe("routed");
			await Promise.all([first.inbox.at(3), second.inbox.at(3)]);
			expect([...first.inbox.texts, ...second.inbox.texts].toSorted()).toEqual(sent);
		});

		test("<topic>.<server> reaches that server and no other", async () => {
			const { a, b, toServer, send, listen, fence } = setUp();
			const [first, second] = [await listen(a), await listen(b)];
			expect(await send(toServer(b), "for b")).toBe("routed");
			expect((await second.inbox.at(0)).body.toString()).toBe("for b");
			await fence();
			expect(first.inbox.texts).toEqual([]);
			expect(second.inbox.texts).toEqual(["for b"]);
		});

		test("P17: a fanout, whose exchange has no control exchange in its name, reaches each server once", async () => {
			const { a, b, toAll, send, listen, fence } = setUp();
			const [first, second] = [await listen(a), await listen(b)];
			expect(await send(toAll, "for all")).toBe("routed");
			await Promise.all([first.inbox.at(0), second.inbox.at(0)]);
			await fence();
			expect(first.inbox.texts).toEqual(["for all"]);
			expect(second.inbox.texts).toEqual(["for all"]);
		});

		test("a fanout works again after its last server has gone, and its exchange with it", async () => {
			const { a, toAll, send, listen } = setUp();
			const { consumer } = await listen(a);
			expect(await send(toAll, "before")).toBe("routed");
			await consumer.cancel();
			expect(await send(toAll, "nobody")).toBe("unroutable");
			const { inbox } = await listen(a);
			expect(await send(toAll, "after")).toBe("routed");
			expect((await inbox.at(0)).body.toString()).toBe("after");
		});

		test("P13, row 12: a message for which there is no queue is unroutable", async () => {
			const { a, b, toTopic, toServer, toAll, send, listen } = setUp();
			for (const to of [toTopic, toServer(a), toAll]) expect(await send(to, "x")).toBe("unroutable");
			await listen(a);
			expect(await send(toServer(b), "x")).toBe("unroutable");
			expect(await send({ kind: "reply", queue: `reply_${newId()}` }, "x")).toBe("unroutable");
		});

		test("P35: of fifty replies at once, each knows whether it arrived, also two that are equal", async () => {
			const { transport, send } = setUp();
			const queue = `reply_${newId()}`;
			const inbox = new Inbox();
			await transport.listenForReplies(queue, inbox.ack);
			const rows = Array.from({ length: 50 }, (_, index) => ({ exists: index % 2 === 0, text: String(index >> 2) }));
			const outcomes = await Promise.all(
				rows.map(({ exists, text }) => send({ kind: "reply", queue: exists ? queue : "reply_gone" }, text)),
			);
			expect(outcomes).toEqual(rows.map(({ exists }) => (exists ? "routed" : "unroutable")));
			await inbox.at(24);
			expect(inbox.texts).toEqual(rows.filter(({ exists }) => exists).map(({ text }) => text));
		});

		test("a message waits for its server", async () => {
			const { a, toServer, send, listen } = setUp();
			await (await listen(a)).consumer.cancel();
			expect(await send(toServer(a), "early")).toBe("routed");
			expect((await (await listen(a)).inbox.at(0)).body.toString()).toBe("early");
		});

		test("a delivery has the bytes that were sent, and oslo's content type", async () => {
			const { transport, a, toTopic, listen } = setUp();
			const { inbox } = await listen(a);
			const body = Buffer.from([0, 0xff, 0x22, 0x0a, 0x80, 0xce]);
			await transport.publish(toTopic, body, OPTIONS);
			const delivery = await inbox.at(0);
			expect(delivery.body).toEqual(body);
			expect(delivery).toMatchObject({ contentType: "application/json", redelivered: false, expiration: undefined });
		});

		test.each([["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"], ["whatever"], [undefined]])(
			"the header traceparent is delivered as it was sent: %j",
			async (traceparent) => {
				const { transport, a, toTopic, listen } = setUp();
				const { inbox } = await listen(a);
				await transport.publish(toTopic, Buffer.from("x"), {
					...OPTIONS,
					...(traceparent !== undefined && { traceparent }),
				});
				expect((await inbox.at(0)).traceparent).toBe(traceparent);
			},
		);

		/** milliseconds given, text delivered */
		const EXPIRATIONS: readonly (readonly [number, string])[] = [
			[60_000, "60000"],
			[60_000.9, "60000"],
			[1_800_000, "1800000"],
		];
		test.each(EXPIRATIONS)("the time to live of %d ms is seen as %j", async (expiration, seen) => {
			const { a, toTopic, send, listen } = setUp();
			const { inbox } = await listen(a);
			await send(toTopic, "x", expiration);
			expect((await inbox.at(0)).expiration).toBe(seen);
		});

		test("P33, row 22: of each queue at most `prefetch` messages are out; ack and reject make room", async () => {
			const { a, toTopic, toServer, send, listen, fence } = setUp();
			const { inbox } = await listen(a, 2, "hold");
			for (const text of ["1", "2", "3", "4"]) await send(toTopic, text);
			await inbox.at(1);
			await fence();
			expect(inbox.texts).toEqual(["1", "2"]);
			await send(toServer(a), "other queue");
			await inbox.at(2);
			(await inbox.at(0)).ack();
			await inbox.at(3);
			(await inbox.at(1)).reject();
			await inbox.at(4);
			await fence();
			expect(inbox.texts).toEqual(["1", "2", "other queue", "3", "4"]);
		});

		test("P10: a rejected message does not come back", async () => {
			const { a, toTopic, send, listen, fence } = setUp();
			const { inbox, consumer } = await listen(a, 1, "hold");
			await send(toTopic, "bad");
			(await inbox.at(0)).reject();
			await send(toTopic, "good");
			(await inbox.at(1)).ack();
			await fence();
			await consumer.cancel();
			const { inbox: later } = await listen(a);
			await fence();
			expect([...inbox.texts, ...later.texts]).toEqual(["bad", "good"]);
		});

		test("P30: a message that is given back comes again before the others, marked, here or elsewhere", async () => {
			const { a, b, toTopic, send, listen, fence } = setUp();
			const { inbox, consumer } = await listen(a, 1, "hold");
			await send(toTopic, "back");
			await send(toTopic, "next");
			const first = await inbox.at(0);
			first.requeue();
			expect(await inbox.at(1)).toMatchObject({ body: first.body, redelivered: true });
			await consumer.cancel();
			const { inbox: other } = await listen(b);
			(await inbox.at(1)).requeue();
			await other.at(1);
			await fence();
			expect(other.texts.toSorted()).toEqual(["back", "next"]);
			expect(inbox.texts).toEqual(["back", "back"]);
		});

		test("P30: cancel: nothing more comes, what is out may be acknowledged, the others get the rest", async () => {
			const { a, b, toTopic, send, listen, fence } = setUp();
			const [leaving, staying] = [await listen(a, PREFETCH, "hold"), await listen(b)];
			await send(toTopic, "out");
			const out = await Promise.race([leaving.inbox.at(0), staying.inbox.at(0)]);
			await leaving.consumer.cancel();
			await leaving.consumer.cancel();
			out.ack();
			const before = leaving.inbox.texts.length;
			for (const text of ["1", "2", "3"]) expect(await send(toTopic, text)).toBe("routed");
			await staying.inbox.at(3 - before);
			await fence();
			expect(leaving.inbox.texts).toHaveLength(before);
			expect([...leaving.inbox.texts, ...staying.inbox.texts]).toEqual(["out", "1", "2", "3"]);
		});

		test("P30: whatever was taken from the queue has been handed out when cancel is done", async () => {
			const { a, toTopic, send, listen, fence } = setUp();
			const { inbox, consumer } = await listen(a);
			await Promise.all([send(toTopic, "1"), send(toTopic, "2"), consumer.cancel()]);
			const before = inbox.texts.length;
			const { inbox: next } = await listen(a);
			await fence();
			expect(inbox.texts).toHaveLength(before);
			expect([...inbox.texts, ...next.texts]).toEqual(["1", "2"]);
		});

		test("close: nothing more is delivered or routed, late acknowledgements do no harm, twice is once", async () => {
			const { transport, a, toTopic, send, listen } = setUp();
			const { inbox } = await listen(a, 1, "hold");
			await send(toTopic, "1");
			await send(toTopic, "2");
			const delivery = await inbox.at(0);
			await transport.close();
			delivery.ack();
			await transport.close();
			expect(await send(toTopic, "3").catch((error: Error) => error.name)).not.toBe("routed");
			expect(inbox.texts).toEqual(["1"]);
		});
	});
}
