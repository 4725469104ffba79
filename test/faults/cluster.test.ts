import { setTimeout as sleep } from "node:timers/promises";
import amqp from "amqplib";
import { afterAll, beforeAll, expect } from "vitest";
import { startRabbitMqCluster, type TestBroker } from "../support/rabbitmq.ts";
import { Caller } from "./caller.ts";
import { unanswered, violations } from "./history.ts";
import { Process } from "./processes.ts";
import { row, seconds } from "./rows.ts";
import { CANARY, startWorld, type World } from "./world.ts";

const NODES = 3;
const CALLS = 400;
const SETTLED = 20_000;
const QUORUM = { durable: true, exclusive: false, autoDelete: false, arguments: { "x-queue-type": "quorum" } };
const REPLIES = { ...QUORUM, arguments: { ...QUORUM.arguments, "x-expires": 1_800_000 } };

let nodes: readonly TestBroker[];
let world: World;
beforeAll(async () => {
	[nodes, world] = await Promise.all([startRabbitMqCluster(NODES), startWorld()]);
});
afterAll(async () => {
	await world?.close();
	await Promise.all((nodes ?? []).map((node) => node.stop()));
});

/** The node that leads a quorum queue, and the others. */
async function leaderOf(
	queue: string,
): Promise<{ readonly leader: TestBroker; readonly others: readonly TestBroker[] }> {
	for (const leader of nodes) {
		// Without --local the other nodes would have to call back, and rabbitmqctl does not listen.
		const led = (await leader.ctl("list_queues", "--local", "name", "--no-table-headers")).split("\n");
		if (led.includes(queue)) return { leader, others: nodes.filter((node) => node !== leader) };
	}
	throw new Error(`no node leads ${queue}`);
}

row(
	"cluster, alone",
	"leader of a quorum queue killed, without us",
	"every confirmed message is read",
	async (measure) => {
		const [first] = nodes;
		const url = ({ address, port }: TestBroker) => `amqp://guest:guest@${address}:${port}/`;
		if (first === undefined) throw new Error("no nodes");
		const connection = await amqp.connect(url(first));
		const channel = await connection.createConfirmChannel();
		await channel.assertQueue("alone", QUORUM);
		for (let number = 0; number < 100; number++) channel.sendToQueue("alone", Buffer.from(String(number)));
		await channel.waitForConfirms();
		await connection.close();
		const { leader, others } = await leaderOf("alone");
		await leader.kill();
		const [other] = others;
		const second = await amqp.connect(url(other ?? first));
		const reader = await second.createChannel();
		const read = new Set<string>();
		await reader.consume("alone", (message) => message && read.add(message.content.toString()), { noAck: false });
		const start = performance.now();
		await expect.poll(() => read.size, { timeout: 30_000, interval: 50 }).toBe(100);
		measure(`100 of 100 after ${seconds(performance.now() - start)}`);
		await second.close();
		await leader.start();
	},
);

/** where the caller is connected; the service is always at the leader, because it has declared the queue there */
const CALLERS = [
	["cluster, a", "leader of the service's queue killed under load", "last"],
	["cluster, b", "the same, and the caller's own node", "first"],
] as const;
for (const [name, fault, place] of CALLERS) {
	row(name, fault, "each confirmed call: one answer", async (measure) => {
		const hosts = nodes.map(({ address, port }) => `guest:guest@${address}:${port}`).join(",");
		const service = Process.serve({
			transport_url: `rabbit://${hosts}/`,
			oslo_messaging_rabbit: { rabbit_quorum_queue: true, rabbit_transient_quorum_queue: true },
			agents: world.agents,
		});
		try {
			await service.ready();
			const { leader, others } = await leaderOf("migration_compat");
			const order = place === "first" ? [leader, ...others] : [...others, leader];
			const urls = order.map(({ url }) => url);
			const caller = await Caller.start(urls, REPLIES);
			await caller.untilAnswered(world.question(0));
			await load(caller, leader);
			const history = { ...caller, faults: [], text: [service.log, ...caller.texts].join("\n"), secrets: [CANARY] };
			const lost = unanswered(history).length;
			const again = caller.answers.filter(({ ending }) => ending).length - caller.asked.length + lost;
			const slowest = Math.max(...caller.answers.map(({ id, at }) => at - sentAt(caller, id)));
			measure(`${lost} of ${CALLS} lost, ${again} answered again, slowest ${seconds(slowest)}`);
			await caller.close();
			await leader.start();
			expect(service.running).toBe(true);
			expect(violations(history)).toEqual([]);
			expect(lost).toBe(0);
		} finally {
			await service.end();
		}
	});
}

function sentAt({ asked }: Caller, id: string): number {
	return asked.find((one) => one.id === id)?.sentAt ?? 0;
}

/** Calls, fifty a second, each sent until it is confirmed; a node dies after a quarter of them. */
async function load(caller: Caller, victim: TestBroker): Promise<void> {
	const asking: Promise<unknown>[] = [];
	for (let number = 0; number < CALLS; number++) {
		if (number === CALLS / 4) await victim.kill();
		asking.push(caller.askForCertain({ ...world.question(number), expiration: 60_000 }));
		await sleep(20);
	}
	await Promise.all(asking);
	await caller.settle(SETTLED);
}
