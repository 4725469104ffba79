import { setTimeout as sleep } from "node:timers/promises";
import amqp from "amqplib";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { Replies } from "../../src/messaging/replies.ts";
import { recordingLog } from "../support/log.ts";
import { GUEST, startRabbitMqCluster, type TestBroker } from "../support/rabbitmq.ts";
import { Caller, envelope, newId } from "./caller.ts";
import { unanswered, violations } from "./history.ts";
import { Process } from "./processes.ts";
import { row, seconds } from "./rows.ts";
import { CANARY, startWorld, type World } from "./world.ts";

const NODES = 3;
const CALLS = 400;
const SETTLED = 20_000;
/** In which a cluster is whole again. */
const WHOLE = 60_000;
/** In which all calls of a load are confirmed. */
const CONFIRMED = 60_000;
const SERVICE_QUEUE = "migration_compat";
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

/** What `rabbitmqctl` tells of a quorum queue; members and those of them that are online by the names of their nodes. */
interface Queue {
	readonly name: string;
	readonly type: string;
	readonly state: string;
	readonly leader: string;
	readonly members: readonly string[];
	readonly online: readonly string[];
}

/** A row that failed may have left a node dead, and a queue has only those members that its node sees when it is declared. */
beforeEach(async () => {
	await Promise.all(nodes.map((node) => node.start()));
	const seen = async (node: TestBroker) => {
		const status = await node.ctl("cluster_status", "--formatter", "json");
		return (JSON.parse(status) as { readonly running_nodes: readonly string[] }).running_nodes.length;
	};
	await expect.poll(() => Promise.all(nodes.map(seen)), { timeout: WHOLE }).toEqual(nodes.map(() => NODES));
}, 2 * WHOLE);

/** Those that the nodes lead which still run. */
async function quorumQueues(): Promise<readonly Queue[]> {
	const columns = ["name", "type", "state", "leader", "members", "online"];
	const led = nodes
		.filter((node) => node.running)
		// Without --local the other nodes would have to call back, and rabbitmqctl does not listen.
		.map((node) => node.ctl("list_queues", "--local", ...columns, "--formatter", "json"));
	const queues = (await Promise.all(led)).flatMap((text) => JSON.parse(text) as readonly Queue[]);
	return queues.filter(({ type }) => type === "quorum");
}

/**
 * The node that leads a queue, and the others, as soon as every queue would outlive a node. Before that, the death of a node is the
 * loss of a majority, which no queue survives.
 */
async function leaderOf(
	queue: string,
): Promise<{ readonly leader: TestBroker; readonly others: readonly TestBroker[] }> {
	const incomplete = async () => (await quorumQueues()).filter(({ online }) => online.length < NODES);
	await expect.poll(incomplete, { timeout: WHOLE }).toEqual([]);
	const found = (await quorumQueues()).find(({ name }) => name === queue);
	const leader = nodes.find(({ node }) => node === found?.leader);
	if (leader === undefined) throw new Error(`no node leads ${queue}`);
	return { leader, others: nodes.filter((node) => node !== leader) };
}

row(
	"cluster, alone",
	"leader of a quorum queue killed, without us",
	"every confirmed message is read",
	async (measure) => {
		const [first] = nodes;
		const url = ({ address, port }: TestBroker) => `amqp://${GUEST}@${address}:${port}/`;
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
	},
);

/** where the caller is connected */
const CALLERS = [
	["cluster, a", "leader of the service's queue killed under load", "last"],
	["cluster, b", "the same, and the caller's own node", "first"],
] as const;
for (const [name, fault, place] of CALLERS) {
	row(name, fault, "each confirmed call: one answer", async (measure) => {
		const hosts = nodes.map(({ address, port }) => `${GUEST}@${address}:${port}`).join(",");
		const service = Process.serve({
			transport_url: `rabbit://${hosts}/`,
			oslo_messaging_rabbit: { rabbit_quorum_queue: true, rabbit_transient_quorum_queue: true },
			agents: world.agents,
		});
		try {
			await service.ready();
			const { leader, others } = await leaderOf(SERVICE_QUEUE);
			const order = place === "first" ? [leader, ...others] : [...others, leader];
			const urls = order.map(({ url }) => url);
			const caller = await Caller.start(urls, REPLIES);
			await caller.untilAnswered(world.question(0));
			// Once more, now that there is a queue for replies.
			await leaderOf(SERVICE_QUEUE);
			await load(caller, leader);
			const history = { ...caller, faults: [], text: [service.log, ...caller.texts].join("\n"), secrets: [CANARY] };
			const lost = unanswered(history).length;
			const again = caller.answers.filter(({ ending }) => ending).length - caller.asked.length + lost;
			const slowest = Math.max(...caller.answers.map(({ id, at }) => at - sentAt(caller, id)));
			measure(`${lost} of ${CALLS} lost, ${again} answered again, slowest ${seconds(slowest)}`);
			await caller.close();
			expect(service.running).toBe(true);
			expect(violations(history)).toEqual([]);
			expect(lost).toBe(0);
		} finally {
			await service.end();
		}
	});
}

/**
 * What a channel publishes first to a quorum queue between the death of its leader and the choice of the next one is refused, and so
 * is everything after it (RabbitMQ 3.10, `enqueue` in deps/rabbit/src/rabbit_fifo_client.erl): only another channel gets through.
 */
row(
	"cluster, channel",
	"a channel that is opened while a reply queue has no leader",
	"the reply arrives <= 5 s",
	async (measure) => {
		const [first, second] = nodes;
		if (!first || !second) throw new Error("no nodes");
		const { log, lines } = recordingLog();
		const options = RabbitOptions.parse({});
		const url = parseTransportUrl(second.url);
		const transport = new RabbitTransport({ url, options, connectionName: "between", log });
		const replies = new Replies({ transport, log, missingQueuePatience: 2 });
		const caller = await Caller.start(first.url, REPLIES);
		try {
			expect((await leaderOf(caller.replyQueue)).leader).toBe(first);
			await expect.poll(() => transport.state().connected).toBeDefined();
			lines.length = 0;
			await first.kill();
			const start = performance.now();
			// There is a new leader about 200 ms later.
			const sent = [0, 10, 20, 40, 80].map(async (later) => {
				await sleep(later);
				const reply = { _msg_id: newId(), result: null, failure: null, ending: true };
				await replies.send(caller.replyQueue, Buffer.from(envelope(JSON.stringify(reply))), {
					answerBy: start + 10_000,
				});
			});
			await Promise.all(sent);
			await expect.poll(() => replies.counts.confirmed, { timeout: 10_000, interval: 20 }).toBe(sent.length);
			const taken = performance.now() - start;
			measure(`${replies.counts.confirmed} of ${sent.length} after ${seconds(taken)}`);
			expect(lines).toEqual([]);
			expect(taken).toBeLessThan(5_000);
		} finally {
			await Promise.all([transport.close(), caller.close()]);
		}
	},
);

function sentAt({ asked }: Caller, id: string): number {
	return asked.find((one) => one.id === id)?.sentAt ?? 0;
}

/** Calls, fifty a second, each sent until it is confirmed; a node dies after a quarter of them. */
async function load(caller: Caller, victim: TestBroker): Promise<void> {
	let confirmed = 0;
	for (let number = 0; number < CALLS; number++) {
		if (number === CALLS / 4) await victim.kill();
		caller.askForCertain({ ...world.question(number), expiration: 60_000 }).then(
			() => confirmed++,
			() => undefined,
		);
		await sleep(20);
	}
	try {
		await expect.poll(() => confirmed, { timeout: CONFIRMED }).toBe(CALLS);
	} catch (cause) {
		const state = { caller: caller.broker ?? "not connected", queues: await quorumQueues() };
		throw new Error(JSON.stringify(state, undefined, 1), { cause });
	}
	await caller.settle(SETTLED);
}
