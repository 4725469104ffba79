import { createLogger } from "../../src/log/logger.ts";
import type { Method } from "../../src/messaging/endpoint.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../src/messaging/server.ts";

// `echo-server.js URL TOPIC`: our messaging alone, as `novacompat serve` runs it. What the service needs beyond this goes
// into snapshots, comparing and its log.
const [url = "", topic = ""] = process.argv.slice(2);
const echo: Method<undefined> = { required: ["value", "request"], optional: [], handler: async ({ value }) => value };
const log = createLogger("novacompat.bench", false, (line) => process.stderr.write(line));
const server = new RpcServer({
	transport: new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-bench",
		log,
	}),
	targets: [{ exchange: "nova", topic, server: "bench" }],
	endpoints: [{ namespace: null, version: "1.0", methods: new Map([["echo", echo]]) }],
	deserializeContext: () => undefined,
	log,
	// The defaults of `novacompat serve` and of oslo.messaging.
	maxInFlight: 64,
	maxCallTime: 15,
});
await server.start();
process.once("SIGTERM", () => process.exit(0));
process.stdout.write("ready\n");
