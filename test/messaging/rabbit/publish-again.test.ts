import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { RpcClient } from "../../../src/messaging/client.ts";
import { newId } from "../../../src/messaging/message.ts";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startProxy } from "../../support/proxy.ts";
import { GUEST, startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

let broker: TestBroker;
let python: ChildProcess;
let notes = "";

beforeAll(async () => {
	broker = await startRabbitMq();
	const server = [`${import.meta.dirname}/../../cli/python_server.py`, broker.url, "cmp-01"];
	python = spawn("/usr/bin/python3", server, { stdio: ["ignore", "pipe", "inherit"] });
	python.stdout?.on("data", (chunk: Buffer) => {
		notes += chunk.toString();
	});
	await vi.waitFor(() => expect(notes).toBe("ready\n"), 60_000);
});

afterAll(async () => {
	if (python?.exitCode === null) {
		python.kill("SIGKILL");
		await once(python, "exit");
	}
	await broker?.stop();
});

const TARGET = { exchange: "nova", topic: "compute", server: "cmp-01" };
/** Of the connection on which is published: the broker says with the ninth of its frames that it has the message. */
const [PUBLISHING, CONFIRM] = [2, 9];

/** A client whose connection breaks once, in place of a frame from the broker. */
async function clientCutAt(cutFrame: number): Promise<RpcClient> {
	let cuts = 0;
	const proxy = await startProxy(broker.port, [], (connection, frame) => {
		if (connection === PUBLISHING && frame === cutFrame && cuts++ === 0) proxy.cut();
		return undefined;
	});
	const transport = new RabbitTransport({
		url: parseTransportUrl(`rabbit://${GUEST}@127.0.0.1:${proxy.port}/`),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-test",
		log: recordingLog().log,
	});
	onTestFinished(async () => {
		await transport.close();
		expect(cuts).toBe(1);
	});
	return new RpcClient(transport);
}

/** How often the server has executed it. */
const timesNoted = (text: string) => notes.split("\n").filter((line) => line === `cmp-01 ${text}`).length;

/** The channel of the declaration opens, the exchange is there, that channel closes; the other one opens, and confirms. */
test.each([4, 5, 6, 7, 8, CONFIRM])(
	"a call whose connection breaks in place of frame %d is published again, and executed once",
	async (frame) => {
		const client = await clientCutAt(frame);
		const text = newId();
		expect(await client.call(TARGET, "note", { text }, { timeout: 30 })).toBe(null);
		expect(timesNoted(text)).toBe(1);
	},
);

test("a cast whose confirm is lost is published again, and executed once", async () => {
	const client = await clientCutAt(CONFIRM);
	const text = newId();
	expect(await client.cast(TARGET, "note", { text })).toBe("routed");
	await client.call(TARGET, "echo", {}, { timeout: 30 });
	await expect.poll(() => timesNoted(text)).toBe(1);
});
