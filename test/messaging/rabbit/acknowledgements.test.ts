import fc from "fast-check";
import { expect, test } from "vitest";
import { Acknowledgements, type Open } from "../../../src/messaging/rabbit/acknowledgements.ts";
import { held } from "../../support/garbage.ts";

const message = (deliveryTag: number) => ({ fields: { deliveryTag } });
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A channel as RabbitMQ has it: a tag that is not open is an error, and `multiple` takes all open ones up to it. */
class Broker {
	readonly frames: string[] = [];
	readonly open = new Set<number>();
	gone = false;

	ack(delivery: ReturnType<typeof message>, multiple = false): void {
		this.#settle(multiple ? "ack up to" : "ack", delivery, multiple);
	}

	nack(delivery: ReturnType<typeof message>, _multiple: boolean, requeue: boolean): void {
		this.#settle(requeue ? "requeue" : "reject", delivery, false);
	}

	#settle(frame: string, { fields: { deliveryTag } }: ReturnType<typeof message>, multiple: boolean): void {
		if (this.gone) throw new Error("Channel closed");
		if (!this.open.has(deliveryTag)) throw new Error(`PRECONDITION_FAILED - unknown delivery tag ${deliveryTag}`);
		this.frames.push(`${frame} ${deliveryTag}`);
		for (const tag of this.open) if (tag === deliveryTag || (multiple && tag < deliveryTag)) this.open.delete(tag);
	}
}

function consumer(count: number) {
	const broker = new Broker();
	const acknowledgements = new Acknowledgements(broker, () => broker.gone);
	const deliveries = Array.from({ length: count }, (_, index) => {
		broker.open.add(index + 1);
		return acknowledgements.add(message(index + 1));
	});
	const take = (tag: number): Open => {
		const found = deliveries[tag - 1];
		if (found === undefined) throw new Error(`no delivery ${tag}`);
		return found;
	};
	return { broker, ack: (tag: number) => acknowledgements.ack(take(tag)), acknowledgements, take };
}

test.each([
	["one", [1], ["ack up to 1"]],
	["neighbours go together", [1, 2, 3], ["ack up to 3"]],
	["in whatever order they are done", [3, 1, 2], ["ack up to 3"]],
	["who has an unfinished one before it goes alone", [1, 3, 4], ["ack up to 1", "ack 3", "ack 4"]],
	["the first is unfinished", [2, 4], ["ack 2", "ack 4"]],
] as const)("%s", async (_name, tags, frames) => {
	const { broker, ack } = consumer(4);
	for (const tag of tags) ack(tag);
	await nextTurn();
	expect(broker.frames).toEqual(frames);
});

test("what was given up is in nobody's way, and is not acknowledged with the others", async () => {
	const { broker, ack, acknowledgements, take } = consumer(4);
	ack(1);
	acknowledgements.giveUp(take(2), false);
	acknowledgements.giveUp(take(4), true);
	ack(3);
	await nextTurn();
	expect(broker.frames).toEqual(["reject 2", "requeue 4", "ack up to 3"]);
});

test("a channel that is gone: nothing is acknowledged, nothing is thrown", async () => {
	const { broker, ack, acknowledgements, take } = consumer(3);
	expect(ack(1)).toBe(true);
	broker.gone = true;
	expect(ack(2)).toBe(false);
	acknowledgements.giveUp(take(3), true);
	await nextTurn();
	expect(broker.frames).toEqual([]);
});

test("each message is settled exactly once, and none that nobody has ended", async () => {
	const ends = fc.array(fc.constantFrom("ack", "reject", "requeue", "turn", "leave"), { maxLength: 30 });
	await fc.assert(
		fc.asyncProperty(ends, fc.infiniteStream(fc.nat()), async (actions, order) => {
			const { broker, ack, acknowledgements, take } = consumer(actions.length);
			const left: number[] = [];
			const queue = actions.map((action, index) => ({ action, tag: index + 1, at: order.next().value ?? 0 }));
			for (const { action, tag } of queue.sort((a, b) => a.at - b.at)) {
				if (action === "ack") ack(tag);
				else if (action === "turn") {
					await nextTurn();
					left.push(tag);
				} else if (action === "leave") left.push(tag);
				else acknowledgements.giveUp(take(tag), action === "requeue");
			}
			await nextTurn();
			expect([...broker.open]).toEqual(left.sort((a, b) => a - b));
		}),
	);
});

test("P33: any number of messages that were given up is in nobody's way", async () => {
	const frames: number[] = [];
	const channel = { ack: ({ fields }: Open) => frames.push(fields.deliveryTag), nack: () => undefined };
	const acknowledgements = new Acknowledgements(channel, () => false);
	const count = 100_000;
	for (let tag = 1; tag < count; tag++) acknowledgements.giveUp(acknowledgements.add(message(tag)), false);
	acknowledgements.ack(acknowledgements.add(message(count)));
	const before = process.cpuUsage();
	await nextTurn();
	const { user, system } = process.cpuUsage(before);
	// One by one it would take half a minute.
	expect((user + system) / 1_000).toBeLessThan(5_000);
	expect(frames).toEqual([count]);
});

test("P33: of messages that were given up nothing is kept, also where none is ever acknowledged", async () => {
	const acknowledgements = new Acknowledgements({ ack: () => undefined, nack: () => undefined }, () => false);
	const giveUp = (tag: number) => {
		const open = acknowledgements.add(message(tag));
		acknowledgements.giveUp(open, false);
		return new WeakRef(open);
	};
	const given = [1, 2, 3].map(giveUp);
	await expect.poll(() => held(given)).toBe(0);
	// It would be collected with all that it has.
	expect(acknowledgements).toBeInstanceOf(Acknowledgements);
});
