import { createLogger } from "../../src/log.ts";
import type { Method } from "../../src/messaging/endpoint.ts";
import { RabbitTransport } from "../../src/messaging/rabbit.ts";
import { RabbitOptions } from "../../src/messaging/rabbit-options.ts";
import { RpcServer } from "../../src/messaging/server.ts";
import { parseTransportUrl } from "../../src/messaging/transport-url.ts";

// `constant-server.js URL TOPIC REPLY`: our messaging alone. Every check gets the same decision, as python_server.py
// gives it; what the service needs beyond this goes into snapshots, comparing and its log.
const [url = "", topic = "", reply = "null"] = process.argv.slice(2);
const decision: unknown = JSON.parse(reply);
const check: Method<undefined> = { required: ["request"], optional: ["devices"], handler: async () => decision };
const log = createLogger("novacompat.bench", false, (line) => process.stderr.write(line));
const server = new RpcServer({
	transport: new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-bench",
		log,
	}),
	targets: [{ exchange: "nova", topic, server: "bench" }],
	endpoints: [{ namespace: null, version: "1.0", methods: new Map([["check_live_migration", check]]) }],
	deserializeContext: () => undefined,
	log,
	// The defaults of `novacompat serve` and of oslo.messaging.
	maxInFlight: 64,
	maxCallTime: 15,
});
await server.start();
process.stdout.write("ready\n");
