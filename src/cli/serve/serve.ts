import { statSync } from "node:fs";
import { type Config, readConfig } from "../../config.ts";
import { Journal } from "../../journal/journal.ts";
import { logFormat } from "../../log/format.ts";
import { createLogger, type LevelledLogger, type Logger } from "../../log/logger.ts";
import { MemoryTransport } from "../../messaging/memory.ts";
import { Notifier } from "../../messaging/notifier.ts";
import { RabbitTransport } from "../../messaging/rabbit/rabbit.ts";
import type { TransportUrl } from "../../messaging/rabbit/transport-url.ts";
import { serverKey } from "../../messaging/target.ts";
import type { Transport } from "../../messaging/transport.ts";
import { checkNotifications } from "../../nova/notifications.ts";
import { RateLimit } from "../../nova/rate-limit.ts";
import { MIGRATION_COMPAT_TOPIC } from "../../nova/topic.ts";
import { readNovaConf } from "../../nova-conf.ts";
import type { UnmadeCheck, Witness } from "../../precheck.ts";
import { Recorder, TappedTransport } from "../../recording/tap.ts";
import type { AgentSnapshots } from "../../snapshot/agents.ts";
import { ConfigError } from "../../yaml.ts";
import { brokerTlsFiles, checkBrokerTls } from "../config/broker-tls.ts";
import { certificateEnds, invalidCertificates } from "../config/certificates.ts";
import { type ConfigFileOptions, configFiles } from "../config/files.ts";
import { live } from "../daemon/life.ts";
import { Reloads, type ReloadsOptions } from "../daemon/reload.ts";
import { reportState } from "../daemon/state-report.ts";
import { UsageError } from "../exit-codes.ts";
import { ownerOnly } from "../owner-only.ts";
import { CurrentPolicy } from "./current-policy.ts";
import { Monitor } from "./monitor.ts";
import {
	agentSnapshots,
	createService,
	prepareTls,
	rabbitOptionsOf,
	type ServiceOptions,
	standInTargets,
} from "./service.ts";
import { createShadows } from "./shadow.ts";
import { type Bus, reportOf } from "./state.ts";
import { standardError, writerTo } from "./writer.ts";

export interface ServeOptions extends ConfigFileOptions {
	readonly novaConf: readonly string[];
}

/** `novacompat serve`: everything that can be wrong with the configuration is found before anything is opened. */
export async function serve({ novaConf, ...named }: ServeOptions): Promise<void> {
	if (process.env["NODE_TLS_REJECT_UNAUTHORIZED"] === "0") {
		throw new ConfigError("NODE_TLS_REJECT_UNAUTHORIZED=0 turns off all verification of certificates: unset it");
	}
	boundLookups();
	const files = () => configFiles(named);
	if (files().length === 0) throw new UsageError("which configuration? expected --config-file or --config-dir");
	const read = () => readConfig(files(), readNovaConf(novaConf));
	const config = read();
	const stderr = standardError((dropped) => log.warning(`${dropped} lines of this log were lost since the start`));
	const log: LevelledLogger = createLogger("novacompat.serve", config.debug, stderr.write, logFormat(config));
	checkBrokerTls(config);
	warnOfCertificates(config, log);
	const current = new CurrentPolicy(config.policy_file, log);
	const policy = current.policy;
	const monitor = new Monitor({ name: config.host, policy, log });
	const snapshots = agentSnapshots(config, log, monitor.metrics);
	const journal = config.journal && new Journal(config.journal, log);
	const options = { config, policy, snapshots, log, recorder: createRecorder(config, log) };
	const witness =
		(role: Bus["role"]): Witness =>
		(made) => {
			journal?.record(made);
			monitor.checked(role, made);
		};
	const reloads = reloadsOf({ config, files: () => [...files(), ...novaConf], read, log }, current, snapshots);
	const state = () => ({
		...Object.assign({}, ...parts.map((part) => part.state())),
		agents: snapshots.state(),
		policy: current.state(),
		...(journal && { journal: journal.state() }),
		reloads: reloads.counts,
	});
	// Before a connection is made, so that an address that is taken ends the start, and a broker that is away does not delay it.
	if (config.http) {
		const lost = () => ({ logLines: stderr.dropped, journalEntries: journal?.state().lost });
		const certificates = () => certificateEnds(reloads.config);
		await monitor.serve(config.http, { agents: snapshots, reloads: () => reloads.counts, certificates, lost });
	}
	journal?.open();
	const unchecked = (unmade: UnmadeCheck) => {
		journal?.record(unmade);
		monitor.unchecked(unmade);
	};
	const answering =
		config.transport_url &&
		createAnswering(config.transport_url, { ...options, witness: witness("service"), unchecked });
	const shadows = createShadows({ ...options, witness: witness("shadow") });
	monitor.watch(answering || undefined, shadows);
	const parts = [...(answering ? [answering] : []), ...shadows];
	await live({
		start: () => Promise.all(parts.map((part) => part.start())),
		stop: async () => {
			monitor.stopping();
			await Promise.all(parts.map((part) => part.stop()));
			await journal?.close();
			await monitor.close();
		},
		reload: () => reloads.request(),
		report: () => reportState(state(), log),
		log,
	});
}

function warnOfCertificates(config: Config, log: Logger): void {
	for (const { path, message } of invalidCertificates(config, Date.now())) log.warning(`${path.join(".")}: ${message}`);
}

/** What is taken of another configuration, by the parts that have it. */
function reloadsOf(
	options: Pick<ReloadsOptions<Config>, "config" | "files" | "read"> & { readonly log: LevelledLogger },
	current: CurrentPolicy,
	snapshots: AgentSnapshots,
): Reloads<Config> {
	const { log } = options;
	return new Reloads({
		...options,
		named: (next) => ({
			texts: next.policy_file === undefined ? [] : [next.policy_file],
			others: [...Object.values(next.agent_tls ?? {}), ...brokerTlsFiles(next)],
		}),
		prepare: [
			({ debug }) =>
				() => {
					log.level = debug ? "debug" : "info";
				},
			({ policy_file }) => current.prepare(policy_file),
			({ agent_tls }) => prepareTls(snapshots, agent_tls),
			// Each connection reads them; what cannot be used would be noticed at the next one.
			(next) => {
				checkBrokerTls(next);
				return () => warnOfCertificates(next, log);
			},
		],
		isMutable: (option, from, to) => {
			if (option === "agent_tls") return from.agent_tls !== undefined && to.agent_tls !== undefined;
			return option === "debug" || option === "policy_file";
		},
	});
}

/** The service on its own bus. */
function createAnswering(
	url: TransportUrl,
	{ recorder, ...options }: Omit<ServiceOptions, "transport"> & { readonly recorder: Recorder | undefined },
) {
	const { config, log } = options;
	const bare = createTransport(url, config, log);
	const transport = recorder ? new TappedTransport(bare, recorder) : bare;
	const notifier = new Notifier({
		transport,
		exchange: config.control_exchange,
		topics: config.versioned_notifications_topics,
		publisherId: `novacompat-serve:${config.host}`,
		log,
	});
	const rateLimit = new RateLimit(config, log);
	const server = createService({ ...options, transport, rateLimit, notifyCheck: checkNotifications(notifier) });
	return {
		async start(): Promise<void> {
			await server.start();
			const topics = [MIGRATION_COMPAT_TOPIC, ...standInTargets(config).map(serverKey)];
			log.info(`serving ready: ${config.control_exchange}/${topics.join(", ")} as server ${config.host}`);
		},
		async stop(): Promise<void> {
			await server.stop();
			await notifier.settled();
			await transport.close();
		},
		state: () => ({ bus: reportOf(transport.state()), requests: { in_flight: server.inFlight } }),
		bus: (): Bus => ({ role: "service", state: transport.state() }),
		server,
		rateLimit,
	};
}

/** For what passes, on the service's own bus and in the shadow, when the configuration says so. */
function createRecorder({ recording }: Config, log: Logger): Recorder | undefined {
	if (!recording) return undefined;
	const { file, max_file_size } = recording;
	ownerOnly(file);
	const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
	log.warning(`recording messages to ${file}, without what is not known to be harmless`);
	let isSaid = false;
	const onError = ({ message }: Error) => {
		if (!isSaid) log.warning(`recording ${file}: ${message}; what cannot be written is lost`);
		isSaid = true;
	};
	const { write } = writerTo({ dest: file, mode: 0o600 }, { onError });
	// Whoever wrote last may have been killed in the middle of a line, or had no room for it; empty lines are none.
	if (size > 0) write("\n");
	const onFull = () => log.warning(`recording ${file}: it has ${max_file_size} bytes, no more is recorded`);
	return new Recorder({ write, maxSize: max_file_size - size, onFull });
}

/**
 * A look-up of a name that nobody answers holds one of the threads that libuv has for them, 32 by the unit and two without it: no
 * longer than a connection has time, resolv.conf(5), unless the operator says otherwise. For glibc, before the first look-up.
 */
export function boundLookups(): void {
	process.env["RES_OPTIONS"] ??= "timeout:1 attempts:1";
}

function createTransport(url: TransportUrl, config: Config, log: Logger): Transport {
	if (url.driver === "memory") return new MemoryTransport();
	return new RabbitTransport({ url, options: rabbitOptionsOf(config), connectionName: "novacompat-serve", log });
}
