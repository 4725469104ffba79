import type { Policy } from "../../compat/policy.ts";
import type { Config } from "../../config.ts";
import type { Logger } from "../../log/logger.ts";
import { rabbitOptions } from "../../messaging/rabbit/options.ts";
import { RpcServer } from "../../messaging/server.ts";
import type { ServerTarget } from "../../messaging/target.ts";
import type { Transport } from "../../messaging/transport.ts";
import { deserializeContext, type RequestContext } from "../../nova/context.ts";
import { novaEndpoints } from "../../nova/methods.ts";
import type { NotifyCheck } from "../../nova/notifications.ts";
import { COMPUTE_TOPICS } from "../../nova/nova-requests.ts";
import { RateLimit } from "../../nova/rate-limit.ts";
import { MAX_REPLY_BYTES } from "../../nova/reply-size.ts";
import { MIGRATION_COMPAT_TOPIC } from "../../nova/topic.ts";
import { createPrecheck, type UnmadeCheck, type Witness } from "../../precheck.ts";
import { createRanking } from "../../ranking.ts";
import { InvalidTlsFiles } from "../../snapshot/agent-tls.ts";
import { type AgentSnapshots, createSnapshots } from "../../snapshot/agents.ts";
import type { SnapshotSource, SnapshotWitness } from "../../snapshot/source.ts";
import { ConfigError } from "../../yaml.ts";

export interface ServiceOptions {
	readonly config: Config;
	readonly policy: () => Policy;
	readonly transport: Transport;
	readonly log: Logger;
	/** Left out, those of the agents that the configuration names. */
	readonly snapshots?: SnapshotSource;
	/** Left out, the one that the configuration says. */
	readonly rateLimit?: RateLimit;
	readonly notifyCheck?: NotifyCheck;
	readonly witness?: Witness;
	readonly unchecked?: (unmade: UnmadeCheck) => void;
}

/** The service on any transport: the demo runs it in memory. */
export function createService(options: ServiceOptions): RpcServer<RequestContext> {
	const { config, policy, transport, log, notifyCheck, witness, unchecked } = options;
	const { snapshots = agentSnapshots(config, log), rateLimit = new RateLimit(config, log) } = options;
	const exchange = config.control_exchange;
	return new RpcServer({
		transport,
		targets: [{ exchange, topic: MIGRATION_COMPAT_TOPIC, server: config.host }, ...standInTargets(config)],
		endpoints: novaEndpoints({
			precheck: createPrecheck(snapshots, policy, witness),
			rankDestinations: createRanking(snapshots, policy),
			policy,
			log,
			rateLimit,
			notifyCheck,
			unchecked,
		}),
		deserializeContext,
		log,
		maxInFlight: config.executor_thread_pool_size,
		maxCallTime: config.max_check_time,
		ack: config.ack,
		ping: config.rpc_ping_enabled,
		maxReply: MAX_REPLY_BYTES,
		missingQueuePatience: rabbitOptionsOf(config).kombu_missing_consumer_retry_timeout,
	});
}

/** Of the agents that the configuration names. @throws {ConfigError} for certificates that cannot be used */
export function agentSnapshots(config: Config, log: Logger, witness?: SnapshotWitness): AgentSnapshots {
	return withTlsFiles(() => createSnapshots(config, log, witness));
}

/** Those of the URL go before those of the section. @throws {InvalidRabbitOptions} */
export const rabbitOptionsOf = ({ oslo_messaging_rabbit, transport_url }: Config) =>
	rabbitOptions(oslo_messaging_rabbit, transport_url?.query ?? new Map());

/** Where nova-compute would listen on the hosts that the service stands in for. */
export function standInTargets({ control_exchange: exchange, stand_in_hosts }: Config): readonly ServerTarget[] {
	return stand_in_hosts.flatMap((server) => COMPUTE_TOPICS.map((topic) => ({ exchange, topic, server })));
}

/** Reads certificates anew, and returns what takes them into use. @throws {ConfigError}, and nothing has changed then */
export function prepareTls(snapshots: AgentSnapshots, files: Config["agent_tls"]): () => void {
	return files ? withTlsFiles(() => snapshots.prepareTls(files)) : () => undefined;
}

/** Certificates that cannot be used are a mistake in the configuration. */
function withTlsFiles<T>(work: () => T): T {
	try {
		return work();
	} catch (error) {
		if (error instanceof InvalidTlsFiles) throw new ConfigError(error.message, { cause: error });
		throw error;
	}
}
