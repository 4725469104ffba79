import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { newId } from "../../../src/messaging/message.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";
import { Inbox } from "../inbox.ts";

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());

function open(url: string) {
	const { log, lines } = recordingLog();
	const transport = new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({ heartbeat_timeout_threshold: 0 }),
		connectionName: "novacompat-test",
		log,
	});
	onTestFinished(() => transport.close());
	return { transport, lines };
}

test("a user with no channel to spare loses the connection to a look at his queues once, not every eight seconds", async () => {
	vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
	onTestFinished(() => void vi.useRealTimers());
	const url = await broker.addUser("frugal");
	await broker.ctl("set_permissions", "frugal", ".*", ".*", ".*");
	await broker.ctl("set_user_limits", "frugal", '{"max-channels": 1}');
	const { transport, lines } = open(url);
	const inbox = new Inbox();
	const target = { exchange: "nova", topic: `t_${newId()}`, server: "host-a" };
	await transport.listen(target, 64, inbox.ack);
	for (let looks = 0; looks < 3; looks++) {
		await vi.advanceTimersByTimeAsync(8_000);
		// The broker closes a connection in a moment, and takes the next one eight seconds later at most.
		await sleep(1_000);
		await expect.poll(() => transport.state().consuming).toBe(true);
	}
	const said = / ERROR .* number of channels opened for user 'frugal' has reached the maximum .*: raise it/;
	expect(lines.filter((line) => said.test(line))).toHaveLength(1);
	expect(transport.state()).toMatchObject({ connections: 2, consuming: true });
	const to = { kind: "topic", exchange: target.exchange, key: target.topic } as const;
	await open(broker.url).transport.publish(to, Buffer.from("x"), { timeout: 5_000 });
	await inbox.at(0);
});
