import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

type Options = Readonly<Record<string, unknown>>;

/** Option sets; in the second object as 14.0.3 spells them, where that differs. */
const OPTION_SETS: readonly (readonly [ours: Options, python?: Options])[] = [
	[{}],
	[{ amqp_durable_queues: true }],
	[{ amqp_auto_delete: true }],
	[{ rabbit_quorum_queue: true }],
	[
		{
			rabbit_quorum_queue: true,
			rabbit_quorum_delivery_limit: 7,
			rabbit_quorum_max_memory_length: 8,
			rabbit_quorum_max_memory_bytes: 9000,
		},
		{
			rabbit_quorum_queue: true,
			rabbit_quorum_delivery_limit: 7,
			rabbit_quroum_max_memory_length: 8,
			rabbit_quroum_max_memory_bytes: 9000,
		},
	],
	[{ rabbit_quorum_queue: true, rabbit_quorum_delivery_limit: -1 }],
	[{ rabbit_ha_queues: true, enable_cancel_on_failover: true }],
	[{ rabbit_transient_queues_ttl: 60, rabbit_qos_prefetch_count: 5 }],
];
const CASES = OPTION_SETS.map(([ours, python = ours], number) => ({ number, ours, python }));

const SERVERS = fileURLToPath(new URL("../../support/python_servers.py", import.meta.url));
/** Without the option, ours asks for a bound of its own and Python for none. */
const PREFETCH = 0;

let broker: TestBroker;
const python = spawnPython();
const transports: RabbitTransport[] = [];
/** What each server has said of its start. */
const started = new Map<string, string>();
/** Exchanges, queues and consumers, a line each. */
let listed: readonly string[];

beforeAll(async () => {
	broker = await startRabbitMq();
	for (const { number, ours, python: theirs } of CASES) {
		started.set(`ours alone ${number}`, await startOurs(`alone${number}o`, ours));
		started.set(`Python alone ${number}`, await python.start(`alone${number}p`, theirs));
		started.set(`ours first ${number}`, await startOurs(`ours${number}`, ours));
		started.set(`Python second ${number}`, await python.start(`ours${number}`, theirs));
		started.set(`Python first ${number}`, await python.start(`python${number}`, theirs));
		started.set(`ours second ${number}`, await startOurs(`python${number}`, ours));
	}
	const lists = [
		await broker.ctl("list_exchanges", "name", "type", "durable", "auto_delete", "arguments"),
		await broker.ctl("list_queues", "name", "durable", "auto_delete", "exclusive", "arguments"),
		await broker.ctl("list_consumers", "queue_name", "consumer_tag", "ack_required", "prefetch_count", "arguments"),
	];
	listed = lists.flatMap((list) => list.split("\n"));
}, 180_000);

afterAll(async () => {
	python.end();
	await Promise.all(transports.map((transport) => transport.close()));
	await broker?.stop();
});

function spawnPython() {
	const child = spawn("/usr/bin/python3", ["-W", "ignore", SERVERS], { stdio: ["pipe", "pipe", "inherit"] });
	const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
	return {
		/** A real RPC server of `x_<name>` and `t_<name>`, and a client of it. */
		async start(name: string, options: Options): Promise<string> {
			const query = Object.entries(options).map(([option, value]) => `${option}=${value}`);
			const request = {
				url: `${broker.url}?${query.join("&")}`,
				exchange: `x_${name}`,
				topic: `t_${name}`,
				server: "python",
			};
			child.stdin.write(`${JSON.stringify(request)}\n`);
			return String((await answers.next()).value);
		},
		end: () => void child.kill(),
	};
}

/** Our server of these names, and a client of it. */
async function startOurs(name: string, given: Options): Promise<string> {
	const { log, lines } = recordingLog();
	const options = RabbitOptions.parse(given);
	const url = parseTransportUrl(broker.url);
	const transport = new RabbitTransport({ url, options, connectionName: "novacompat-test", log });
	transports.push(transport);
	const target = { exchange: `x_${name}`, topic: `t_${name}`, server: "ours" };
	await transport.listen(target, PREFETCH, (delivery) => delivery.ack());
	const replyQueue = transport.newReplyQueue();
	await transport.listenForReplies(replyQueue, (delivery) => delivery.ack());
	const complaints = lines.filter((line) => !line.includes(" INFO "));
	return [...complaints, `ready ${replyQueue}`].join("");
}

/** What the broker has of a server, without what is random. */
function inventory(server: string, name: string): readonly string[] {
	const replyQueue = started.get(server)?.split(" ")[1] ?? "";
	return listed
		.filter((line) => line.includes(`_${name}`) || line.startsWith(replyQueue))
		.map((line) =>
			line
				.replaceAll(name, "NAME")
				.replace(/[0-9a-f]{32}/, "ID")
				.replace(/\.(python|ours)/, ".HOST"),
		)
		.toSorted();
}

describe.each(CASES)("with $ours", ({ number }) => {
	test("P16: exchanges, queues and consumers are Python's", () => {
		const expected = inventory(`Python alone ${number}`, `alone${number}p`);
		// 2 exchanges, 4 queues, 4 consumers.
		expect(expected).toHaveLength(10);
		expect(inventory(`ours alone ${number}`, `alone${number}o`)).toEqual(expected);
	});

	test.each(["ours first", "Python second", "Python first", "ours second"])(
		"P15: there is no 406, in both orders: %s",
		(server) => {
			expect(started.get(`${server} ${number}`)).toMatch(/^ready reply_[0-9a-f]{32}$/);
		},
	);
});
