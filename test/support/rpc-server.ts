import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "../../src/log/logger.ts";
import type { Method } from "../../src/messaging/endpoint.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../src/messaging/server.ts";

// `rpc-server.js URL TOPIC SERVER ACK`: a server that a test may kill. Its method m(x) returns its pid after x
// milliseconds; for "abort" it ends as a crash does, with nothing between being called and that.
const [url = "", topic = "", server = "", ack = "after"] = process.argv.slice(2);
const m: Method<undefined> = {
	required: ["x"],
	optional: [],
	handler: async ({ x }) => {
		process.stdout.write(`called ${String(x)}\n`);
		if (x === "abort") process.abort();
		return sleep(Number(x), process.pid);
	},
};
const log = createLogger("novacompat.test", true, (line) => process.stderr.write(line));
const rpcServer = new RpcServer({
	transport: new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-test",
		log,
	}),
	targets: [{ exchange: "nova", topic, server }],
	endpoints: [{ namespace: null, version: "1.0", methods: new Map([["m", m]]) }],
	deserializeContext: () => undefined,
	log,
	maxInFlight: 64,
	maxCallTime: 15,
	ack: ack === "before" ? "before" : "after",
});
await rpcServer.start();
process.stdout.write("ready\n");
