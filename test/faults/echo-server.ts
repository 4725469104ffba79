import { createLogger } from "../../src/log/logger.ts";
import type { Endpoint, Method } from "../../src/messaging/endpoint.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../src/messaging/server.ts";

// `echo-server.js '[{"url": ..., "topic": ...}, ...]'`: RPC servers of our messaging in one process, each with connections
// of its own. What the service never does is done here: dying in a method, publishing where the broker refuses it.
interface Server {
	readonly url: string;
	readonly topic: string;
}

const log = createLogger("novacompat.echo", true, (line) => process.stderr.write(line));
const servers = JSON.parse(process.argv[2] ?? "[]") as readonly Server[];
await Promise.all(servers.map(serve));

async function serve({ url, topic }: Server): Promise<void> {
	const transport = new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({}),
		connectionName: `novacompat-${topic}`,
		log,
	});
	const method = (optional: readonly string[], handler: Method<undefined>["handler"]): Method<undefined> => ({
		required: [],
		optional,
		handler,
	});
	const endpoint: Endpoint<undefined> = {
		namespace: null,
		version: "1.0",
		methods: new Map([
			["echo", method(["x"], async ({ x }) => x)],
			["crash", method([], async () => process.kill(process.pid, "SIGKILL"))],
			["is_polluted", method([], async () => "polluted" in {})],
			[
				"publish",
				method(["exchange"], async ({ exchange }) => {
					const to = { kind: "topic", exchange: String(exchange), key: "k" } as const;
					return transport.publish(to, Buffer.from("{}"), { timeout: 2_000 }).catch(String);
				}),
			],
		]),
	};
	const server = new RpcServer({
		transport,
		targets: [{ exchange: "nova", topic, server: "echo" }],
		endpoints: [endpoint],
		deserializeContext: () => undefined,
		log,
		maxInFlight: 64,
		maxCallTime: 15,
	});
	await server.start();
	log.info(`echo ready: ${topic}`);
}
