import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { noReplies } from "../../src/messaging/counts.ts";
import { MessageDeliveryFailure } from "../../src/messaging/errors.ts";
import { newId } from "../../src/messaging/message.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { Replies } from "../../src/messaging/replies.ts";
import { recordingLog } from "../support/log.ts";
import { ownTime } from "../support/own-time.ts";
import { Inbox } from "./inbox.ts";
import { scripted, serve } from "./serving.ts";

describe("where a reply goes", () => {
	const HOSTILE: readonly string[] = [
		"",
		"reply_",
		"compute",
		"compute.host-a",
		"amq.rabbitmq.reply-to",
		"Reply_1",
		"xreply_1",
		"reply_1 ",
		"reply_1\n",
		"reply_a/b",
		"reply_é",
		`reply_${"a".repeat(201)}`,
	];
	test.each(HOSTILE)(
		"P36, row 36: %j is no reply queue: nothing is published there, the server goes on",
		async (queue) => {
			const { transport, send, request, lines, call } = await serve(async () => "ok", { maxInFlight: 1 });
			await send(request({ _reply_q: queue, _timeout: 2 }));
			expect(await call()).toBe("ok");
			expect(transport.repliedTo).toEqual([expect.stringMatching(/^reply_[0-9a-f]{32}$/)]);
			expect(lines.filter((line) => line.includes("which is no reply queue"))).toHaveLength(1);
		},
	);

	test("row 36: a flood of replies to such is one line, and each is counted", async () => {
		const { send, request, server, lines, call } = await serve(async () => "ok");
		for (let count = 0; count < 200; count++) await send(request({ _reply_q: "compute" }));
		expect(await call()).toBe("ok");
		expect(server.replies.dropped).toBe(200);
		expect(lines.filter((line) => line.includes("which is no reply queue"))).toHaveLength(1);
	});

	test("row 36: the line is short, however long the name", async () => {
		const { send, request, lines, call } = await serve(async () => "ok");
		await send(request({ _reply_q: "x".repeat(10_000) }));
		expect(await call()).toBe("ok");
		expect(lines.join("").length).toBeLessThan(400);
	});

	test.each([
		`reply_${newId()}`,
		"reply_ctrl-01:nova-conductor:2",
		"reply_host.example:p_1:1",
		`reply_${"a".repeat(200)}`,
	])("P36: %s is one", async (queue) => {
		const { transport, send, request } = await serve(async () => "ok");
		const inbox = new Inbox();
		await transport.listenForReplies(queue, inbox.ack);
		await send(request({ _reply_q: queue }));
		expect((await inbox.at(0)).body.toString()).toContain("ok");
	});

	test("P13, row 11: a missing queue is retried for two seconds, then tried once only", async () => {
		const { transport, send, request, lines } = await serve(async () => "ok");
		const queue = `reply_${newId()}`;
		const start = performance.now();
		await send(request({ _reply_q: queue, _unique_id: "u1" }));
		const gone = `the queue ${queue} does not exist`;
		await expect.poll(() => lines.join("")).toContain(gone);
		expect(performance.now() - start).toBeGreaterThan(1_900);

		const tries = transport.repliedTo.length;
		const next = scripted(request({ _reply_q: queue, _unique_id: "u2" }));
		transport.deliver(next.delivery);
		await expect.poll(() => next.ended).toEqual(["ack"]);
		await sleep(500);
		expect(transport.repliedTo.length - tries).toBe(1);
		expect(lines.filter((line) => line.includes("was missing a moment ago"))).toHaveLength(1);
		expect(lines.filter((line) => line.includes(gone))).toHaveLength(1);
	});

	test("row 11: a caller that comes back later than its reply was given up gets the next ones", async () => {
		const { transport, send, request, server } = await serve(async () => "ok", { missingQueuePatience: 0.3 });
		const queue = `reply_${newId()}`;
		await send(request({ _reply_q: queue }));
		await expect.poll(() => server.replies.returned).toBe(1);
		const inbox = new Inbox();
		await transport.listenForReplies(queue, inbox.ack);
		await send(request({ _reply_q: queue }));
		await expect.poll(() => server.replies.confirmed).toBe(1);
		expect((await inbox.at(0)).body.toString()).toContain("ok");
	});

	test.each([0, 0.3])("P13: the patience is an option: %d s", async (missingQueuePatience) => {
		const { send, request, lines } = await serve(async () => "ok", { missingQueuePatience });
		const start = performance.now();
		await send(request({ _reply_q: "reply_gone" }));
		await expect.poll(() => lines.join(""), { interval: 10 }).toContain("the queue reply_gone does not exist");
		expect(performance.now() - start).toBeGreaterThan(missingQueuePatience * 1000);
	});

	test("P13: a queue that comes back after two of ten seconds gets its reply within 0.3 s, and stop waits for it", async () => {
		const { transport, send, request, server, lines } = await serve(async () => "late", { missingQueuePatience: 10 });
		const queue = `reply_${newId()}`;
		await send(request({ _reply_q: queue }));
		await sleep(2_000);
		const inbox = new Inbox();
		const passed = ownTime();
		await transport.listenForReplies(queue, inbox.ack);
		await server.stop();
		expect((await inbox.at(0)).body.toString()).toContain("late");
		expect(passed()).toBeLessThan(300);
		expect(lines.join("")).not.toContain("dropping");
	});

	test("row 11: a reply that waits for its queue holds neither its request nor its slot", async () => {
		const { transport, request, call } = await serve(async () => "ok", { maxInFlight: 1 });
		const dead = scripted(request({ _reply_q: "reply_gone" }));
		const passed = ownTime();
		transport.deliver(dead.delivery);
		await expect.poll(() => dead.ended, { interval: 5 }).toEqual(["ack"]);
		expect(await call()).toBe("ok");
		expect(passed()).toBeLessThan(250);
	});

	test("row 11: at most 200 replies wait; the others are dropped and counted", async () => {
		// None that waits may be given up before all have come.
		const { transport, send, request, lines, server } = await serve(async () => "ok", { missingQueuePatience: 60 });
		const started = performance.now();
		const dead = Array.from({ length: 1_000 }, (_, index) => `reply_dead${index}`);
		await Promise.all(dead.map((queue) => send(request({ _reply_q: queue }))));
		await expect.poll(() => server.replies.dropped).toBe(800);
		// Each was tried once, and those that wait a few times more.
		expect(new Set(transport.repliedTo).size).toBe(1_000);
		const passed = ownTime();
		await server.stop();
		expect(passed()).toBeLessThan(2_500);
		const rounds = (performance.now() - started) / 250 + 2;
		expect(transport.repliedTo.length).toBeLessThanOrEqual(1_000 + 200 * rounds);
		await expect.poll(() => lines.filter((line) => line.includes("does not exist"))).toHaveLength(200);
	});

	test("row 11: replies that wait have 16 MiB at most; the others are dropped and counted", async () => {
		const { replies } = repliesTo({ missingUntil: 60 }, 1);
		const large = Buffer.alloc(1024 * 1024);
		const answerBy = performance.now() + 10_000;
		await Promise.all(
			Array.from({ length: 20 }, (_, index) => replies.send(`reply_dead${index}`, large, { answerBy })),
		);
		expect(replies.counts.dropped).toBe(4);
		await replies.settled();
		// What waits no more leaves its place to others.
		await replies.send("reply_dead", large, { answerBy });
		await expect.poll(() => replies.counts).toMatchObject({ dropped: 4, returned: 17 });
	});

	test("row 11: replies that wait are sent again at 4 MiB a second at most, however many and large they are", async () => {
		const { replies, sentBytes } = repliesTo({ missingUntil: 60 }, 2);
		const large = Buffer.alloc(1024 * 1024);
		const start = performance.now();
		const answerBy = start + 10_000;
		await Promise.all(
			Array.from({ length: 12 }, (_, index) => replies.send(`reply_dead${index}`, large, { answerBy })),
		);
		await replies.settled();
		expect(replies.counts.returned).toBe(12);
		// Each at once, at that rate while they wait, and each in the end.
		const seconds = (performance.now() - start) / 1000;
		expect(sentBytes()).toBeLessThanOrEqual((12 + seconds * 4 + 12) * large.length);
	});

	test("row 11: two replies for one missing queue are given up together", async () => {
		const { send, request, lines } = await serve(async () => "ok", { missingQueuePatience: 4 });
		const given = () => lines.filter((line) => line.includes("reply_gone does not exist")).length;
		await send(request({ _reply_q: "reply_gone" }));
		await sleep(2_000);
		await send(request({ _reply_q: "reply_gone" }));
		await expect.poll(given, { interval: 20 }).toBeGreaterThan(0);
		const passed = ownTime();
		await expect.poll(given, { interval: 20 }).toBe(2);
		// The second one by itself would wait for two seconds more.
		expect(passed()).toBeLessThan(1_000);
	});

	test("row 11: callers of 1000 dead queues do not slow down others: p99 of a call stays under 200 ms", async () => {
		const { send, request, call } = await serve(async () => "ok", { maxInFlight: 4 });
		const durations: number[] = [];
		const passed = ownTime();
		for (let round = 0; round < 500; round++) {
			for (const side of [0, 1]) await send(request({ _reply_q: `reply_dead${round}_${side}` }));
			const start = passed();
			await call();
			durations.push(passed() - start);
		}
		// One reply that held its slot would cost 250 ms at least, one that held its request 2 s.
		expect(durations.toSorted((a, b) => a - b)[Math.floor(durations.length * 0.99)]).toBeLessThan(200);
	});
});

/**
 * Replies to one queue, on a broker that is away between two seconds from now, and where the queue is missing until another.
 * `resumed`: seconds ago at which there was an outage already.
 */
function repliesTo(
	broker: { away?: readonly [from: number, to: number]; missingUntil: number; resumed?: number },
	patience: number,
) {
	const started = performance.now();
	const [from, to] = (broker.away ?? [0, 0]).map((second) => started + second * 1000) as [number, number];
	const found = broker.resumed === undefined ? undefined : started - broker.resumed * 1000;
	const { log, lines } = recordingLog();
	const isAway = () => performance.now() >= from && performance.now() < to;
	let sent = 0;
	const replies = new Replies({
		transport: {
			async publish(_to, body, { timeout }) {
				sent += body.length;
				const end = performance.now() + Number(timeout);
				while (isAway() && performance.now() < end) await sleep(10);
				if (isAway()) throw new MessageDeliveryFailure("no connection to RabbitMQ");
				return performance.now() < started + broker.missingUntil * 1000 ? "unroutable" : "routed";
			},
			resumedAt: () => (performance.now() >= to && to > from ? to : found),
			state: () => ({
				connected: isAway() ? undefined : "mq1:5672",
				connections: 1,
				consuming: true,
				blocked: false,
				inequivalent: [],
			}),
		},
		log,
		missingQueuePatience: patience,
	});
	const send = (seconds = 10) => replies.send("reply_1", Buffer.from("{}"), { answerBy: started + seconds * 1000 });
	const passed = ownTime();
	return {
		replies,
		send,
		lines,
		sentBytes: () => sent,
		seconds: () => (performance.now() - started) / 1000,
		ownSeconds: () => passed() / 1000,
	};
}

describe("row 11: an outage takes the broker from the callers too, and they come back later than we do", () => {
	test("a reply that has begun to wait for its queue before the broker went waits on when it is back", async () => {
		const { replies, send } = repliesTo({ away: [0.2, 1.2], missingUntil: 2 }, 0.5);
		await send();
		await expect.poll(() => replies.counts.confirmed).toBe(1);
	});

	test("it waits for a broker that stays away until its call is over", async () => {
		const { replies, send, lines, seconds, ownSeconds } = repliesTo({ away: [0.2, 60], missingUntil: 60 }, 0.5);
		await send(1.5);
		await expect.poll(() => replies.counts.timeout, { interval: 20 }).toBe(1);
		expect(seconds()).toBeGreaterThan(1.4);
		expect(ownSeconds()).toBeLessThan(2.5);
		expect(lines.join("")).toContain("dropping a reply to reply_1: no connection to RabbitMQ");
	});

	test("a minute after the broker was found again a missing queue is given up as ever", async () => {
		const { replies, send, seconds, ownSeconds } = repliesTo({ missingUntil: 60, resumed: 59 }, 0.2);
		await send();
		await expect.poll(() => replies.counts.returned, { interval: 20 }).toBe(1);
		expect(seconds()).toBeGreaterThan(0.9);
		expect(ownSeconds()).toBeLessThan(2);
	});

	test("stop waits two seconds at most, however long the patience is", async () => {
		const { replies, send, ownSeconds } = repliesTo({ missingUntil: 60 }, 60);
		await send(1);
		await replies.settled();
		expect(ownSeconds()).toBeLessThan(3);
		expect(replies.counts.returned).toBe(1);
	});

	test("stop waits as long as ever, within the minute too: a dead caller does not hold it", async () => {
		const { replies, send, ownSeconds, lines } = repliesTo({ missingUntil: 60, resumed: 0 }, 0.5);
		await send();
		await sleep(100);
		await replies.settled();
		expect(ownSeconds()).toBeLessThan(1.2);
		expect(lines.join("")).toContain("the queue reply_1 does not exist");
	});
});

/**
 * Without an outage of ours: its own node of a cluster has died. oslo.messaging sleeps a second (`kombu_reconnect_delay`) before it
 * tries any host, and again after each that does not answer; it was back in 2.1 s and 4.1 s when one and three of them were dead.
 */
test("row 11: a caller who finds three of his hosts dead is waited for", async () => {
	const { replies, send } = repliesTo(
		{ missingUntil: 4.3 },
		RabbitOptions.parse({}).kombu_missing_consumer_retry_timeout,
	);
	await send();
	await expect.poll(() => replies.counts.confirmed).toBe(1);
});

test("row 11: stop does not wait for a broker that stays away", async () => {
	const { replies, send, ownSeconds } = repliesTo({ away: [0.1, 60], missingUntil: 60 }, 0.5);
	await send();
	await sleep(700);
	await replies.settled();
	expect(ownSeconds()).toBeLessThan(2);
});

test("row 9: an answer that no slot is held for does not wait for a broker that takes nothing", async () => {
	const { replies, lines, ownSeconds } = repliesTo({ away: [0, 60], missingUntil: 0 }, 0.5);
	await replies.send("reply_1", Buffer.from("{}"), { answerBy: performance.now() + 10_000, isHasty: true });
	expect(ownSeconds()).toBeLessThan(0.5);
	expect(replies.counts).toMatchObject({ dropped: 1 });
	expect(lines.join("")).toContain("dropping a reply to reply_1");
});

test("row 11: a queue that was missing, and is back, is waited for when it is missing again", async () => {
	let outcome: "routed" | "unroutable" = "unroutable";
	const { log } = recordingLog();
	const state = { connected: "mq1:5672", connections: 1, consuming: true, blocked: false, inequivalent: [] };
	const transport = { publish: async () => outcome, resumedAt: () => undefined, state: () => state };
	const replies = new Replies({ transport, log, missingQueuePatience: 0.1 });
	const send = () => replies.send("reply_1", Buffer.from("{}"), { answerBy: performance.now() + 60_000 });
	await send();
	await expect.poll(() => replies.counts.returned).toBe(1);
	outcome = "routed";
	await send();
	outcome = "unroutable";
	await send();
	outcome = "routed";
	await expect.poll(() => replies.counts).toEqual({ ...noReplies(), returned: 1, confirmed: 2 });
});
