import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { newId } from "../../../src/messaging/message.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());

/** Milliseconds that a look may take. */
const A_LOOK = 10_000;

test("a broker that keeps the connection and answers nothing more: its queues count as not consumed, until it answers", async () => {
	vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
	onTestFinished(() => void vi.useRealTimers());
	const { log } = recordingLog();
	const transport = new RabbitTransport({
		url: parseTransportUrl(broker.url),
		// With heartbeats the connection would be lost: a node of a cluster that waits for another one sends them.
		options: RabbitOptions.parse({ heartbeat_timeout_threshold: 0 }),
		connectionName: "novacompat-test",
		log,
	});
	onTestFinished(() => transport.close());
	await transport.listen({ exchange: "nova", topic: `t_${newId()}`, server: "host-a" }, 64, () => undefined);
	broker.pause();
	try {
		await vi.advanceTimersByTimeAsync(8_000);
		expect(transport.state().consuming).toBe(true);
		await expect.poll(() => transport.state().consuming, { timeout: 3 * A_LOOK }).toBe(false);
	} finally {
		broker.resume();
	}
	await expect.poll(() => transport.state().consuming).toBe(true);
	expect(transport.state().connections).toBe(1);
});
