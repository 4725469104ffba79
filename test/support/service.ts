import { scanNow } from "../../src/agent/scan-result.ts";
import { type AgentServer, startAgentServer } from "../../src/agent/server.ts";
import { createService } from "../../src/cli/serve/service.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { Config } from "../../src/config.ts";
import { Journal } from "../../src/journal/journal.ts";
import { createLogger } from "../../src/log/logger.ts";
import { osloLine } from "../../src/log/oslo-line.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { osloJson } from "./log.ts";

const HOSTS = `${import.meta.dirname}/../../config/samples/hosts`;

/** The real service in memory, with real agents over HTTP on sample hosts; `lines` is everything that it logs. */
export async function startService(hosts: readonly string[], options: Readonly<Record<string, unknown>> = {}) {
	const lines: string[] = [];
	const format = options["use_json"] === true ? osloJson : osloLine;
	const log = createLogger("novacompat.test", true, (line) => lines.push(line), format);
	const agents = new Map<string, AgentServer>();
	for (const host of hosts) {
		const scan = { host, sysfsRoot: `${HOSTS}/${host}/sys`, libvirtDir: `${HOSTS}/${host}/libvirt` };
		const listen = { address: "127.0.0.1", port: 0 };
		agents.set(host, await startAgentServer({ listen, latest: () => scanNow(scan), log }));
	}
	const config = Config.parse({
		transport_url: "memory://",
		host: "novacompat-test",
		agents: Object.fromEntries([...agents].map(([host, { url }]) => [host, url])),
		...options,
	});
	const transport = new MemoryTransport();
	const journal = config.journal && new Journal(config.journal, log);
	const witness = journal ? { witness: journal.record } : {};
	const service = createService({ config, policy: () => DEFAULT_POLICY, transport, log, ...witness });
	await service.start();
	return {
		transport,
		client: new RpcClient(transport),
		lines,
		agents,
		async stop() {
			await service.stop();
			await journal?.close();
			await Promise.all([...agents.values()].map((agent) => agent.close()));
		},
	};
}
