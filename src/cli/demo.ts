import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { scanNow } from "../agent/scan-result.ts";
import { startAgentServer } from "../agent/server.ts";
import type { Decision } from "../compat/decision.ts";
import { DEFAULT_POLICY } from "../compat/policy.ts";
import { Config } from "../config.ts";
import { createLogger } from "../log/logger.ts";
import { RpcClient } from "../messaging/client.ts";
import { RemoteError } from "../messaging/errors.ts";
import { MemoryTransport } from "../messaging/memory.ts";
import { COMPUTE_TOPIC } from "../nova/nova-requests.ts";
import { fieldsOf, requiredText } from "../nova/objects.ts";
import { MIGRATION_COMPAT_TOPIC } from "../nova/topic.ts";
import { readRecording } from "../recording/recording.ts";
import { UsageError } from "./exit-codes.ts";
import { renderDecision, terminalColour } from "./render/decision.ts";
import { createService } from "./serve/service.ts";

const SAMPLES = fileURLToPath(new URL("../../../config/samples", import.meta.url));
const TIMEOUT = 10;

/** `novacompat demo`: the whole service in one process, on sample hosts, fed with messages recorded from real Nova. */
export async function demo(): Promise<void> {
	if (!existsSync(`${SAMPLES}/hosts`)) {
		throw new UsageError(
			"the sample hosts are in the repository and in the Debian package: npm packs no symbolic links",
		);
	}
	const print = (text: string) => process.stdout.write(text);
	const log = createLogger("novacompat.demo", false, () => undefined);
	const [sourceAgent, destAgent] = await Promise.all([
		startSampleAgent("test_compute0", log),
		startSampleAgent("test_compute1", log),
	]);
	print(`agent of test_compute0 on ${sourceAgent.url}\nagent of test_compute1 on ${destAgent.url}\n`);

	const config = Config.parse({
		transport_url: "memory://",
		host: "novacompat-demo",
		agents: { test_compute0: sourceAgent.url, test_compute1: destAgent.url },
		stand_in_hosts: ["test_compute1"],
		// The last replay shall meet the agent as it is then.
		snapshot_max_age: 0,
	});
	const transport = new MemoryTransport();
	const service = createService({ config, policy: () => DEFAULT_POLICY, transport, log });
	await service.start();
	const client = new RpcClient(transport);
	print("service on memory://, standing in for nova-compute on test_compute1\n");

	const recordings = readdirSync(`${SAMPLES}/recordings`).sort();
	for (const file of recordings) await replay(client, file, print);
	await destAgent.close();
	print("\nthe agent of test_compute1 is stopped\n");
	await replay(client, recordings[0] ?? "", print);

	await service.stop();
	await sourceAgent.close();
}

async function startSampleAgent(host: string, log: ReturnType<typeof createLogger>) {
	const scan = { host, sysfsRoot: `${SAMPLES}/hosts/${host}/sys`, libvirtDir: `${SAMPLES}/hosts/${host}/libvirt` };
	return startAgentServer({ listen: { address: "127.0.0.1", port: 0 }, latest: () => scanNow(scan), log });
}

/** Sends one recorded pre-check as Nova did, shows what Nova gets, and asks for the decision behind it. */
async function replay(client: RpcClient, file: string, print: (text: string) => unknown): Promise<void> {
	const { exchange, routing_key, message } = readRecording(readFileSync(`${SAMPLES}/recordings/${file}`, "utf8"));
	const dest_host = routing_key.slice(`${COMPUTE_TOPIC}.`.length);
	const instance = fieldsOf(fieldsOf(message["args"], "args")?.["instance"], "Instance");
	const source_host = requiredText(instance, "instance", "host");
	const instance_uuid = requiredText(instance, "instance", "uuid");

	print(`\n${file}\n`);
	const nova = { exchange, topic: COMPUTE_TOPIC, server: dest_host };
	const answer = await client.send(nova, message, { timeout: TIMEOUT }).then(
		() => "None: the migration goes on",
		(error: unknown) => {
			if (error instanceof RemoteError) return `${error.excType}: ${error.value}`;
			throw error;
		},
	);
	const ours = { exchange, topic: MIGRATION_COMPAT_TOPIC, version: "1.0" };
	const request = { instance_uuid, source_host, dest_host };
	const decision = (await client.call(ours, "check_live_migration", { request }, { timeout: TIMEOUT })) as Decision;
	print(
		renderDecision(
			decision,
			`${source_host} -> ${dest_host}, instance ${instance_uuid}`,
			terminalColour(process.stdout),
		),
	);
	print(`  Nova gets ${answer}\n`);
}
