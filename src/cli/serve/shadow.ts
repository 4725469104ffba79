import type { Policy } from "../../compat/policy.ts";
import type { Config } from "../../config.ts";
import type { Logger } from "../../log/logger.ts";
import type { Log } from "../../messaging/log.ts";
import { rabbitOptions } from "../../messaging/rabbit/options.ts";
import { RabbitTransport } from "../../messaging/rabbit/rabbit.ts";
import type { Consumer } from "../../messaging/transport.ts";
import { COMPUTE_TOPICS } from "../../nova/nova-requests.ts";
import { OBSERVED_METHODS } from "../../nova/observed.ts";
import { Shadow } from "../../nova/shadow.ts";
import { createPlacementCheck } from "../../placement.ts";
import { createCheck, type Witness } from "../../precheck.ts";
import type { Recorder } from "../../recording/tap.ts";
import type { SnapshotSource } from "../../snapshot/source.ts";
import { type Bus, reportOf } from "./state.ts";

/** How often the log says how much we and Nova agree, if there is something new to say. */
const SUMMARY_MS = 3_600_000;

export interface ShadowsOptions {
	readonly config: Config;
	readonly policy: () => Policy;
	readonly snapshots: SnapshotSource;
	readonly log: Logger;
	readonly witness?: Witness;
	/** Of what is looked at; left out, nothing is written down. */
	readonly recorder?: Recorder | undefined;
}

/** Listens in on the bus of each cell that the configuration names under `shadow`. */
export function createShadows(options: ShadowsOptions): readonly ReturnType<typeof createShadow>[] {
	return Object.keys(options.config.shadow).map((cell) => createShadow(cell, options));
}

function createShadow(cell: string, { config, policy, snapshots, log, witness, recorder }: ShadowsOptions) {
	const { transport_url: url, control_exchange, oslo_messaging_rabbit } = config.shadow[cell] ?? {};
	if (!url) throw new Error(`no section shadow.${cell}`);
	const exchange = control_exchange ?? config.control_exchange;
	const transport = new RabbitTransport({
		url,
		options: rabbitOptions({ ...config.oslo_messaging_rabbit, ...oslo_messaging_rabbit }, url.query),
		connectionName: `novacompat-shadow-${cell}`,
		log: ofCell(cell, log),
	});
	const shadow = new Shadow({
		cell,
		check: createCheck(snapshots, policy),
		checkPlacement: createPlacementCheck(snapshots, policy),
		witness,
		log,
		isListening: () => transport.state().consuming,
		maxCheckTime: config.max_check_time,
	});
	let told = "";
	const tell = () => {
		const summary = shadow.agreement.summary();
		if (summary !== told) log.info(`shadow ${cell}: ${summary}`);
		told = summary;
	};
	const timer = setInterval(tell, SUMMARY_MS).unref();
	let consumer: Consumer | undefined;
	return {
		async start(): Promise<void> {
			const tap = {
				exchange,
				keys: COMPUTE_TOPICS.map((topic) => `${topic}.#`),
				queuePrefix: `novacompat.tap.${cell}`,
				prefetch: config.executor_thread_pool_size,
			};
			consumer = await transport.tap(
				tap,
				(delivery) => {
					recorder?.record({ exchange, routing_key: delivery.routingKey }, delivery, OBSERVED_METHODS);
					void shadow.take(delivery);
				},
				() => shadow.missed(),
			);
			log.info(`shadow ${cell} ready: watching ${tap.keys.map((key) => `${exchange}/${key}`).join(", ")}`);
		},
		async stop(): Promise<void> {
			clearInterval(timer);
			await consumer?.cancel();
			await shadow.stop();
			tell();
			await transport.close();
		},
		state: () => ({ [`shadow ${cell}`]: { ...reportOf(transport.state()), checks: shadow.agreement.summary() } }),
		bus: (): Bus => ({ role: "shadow", cell, state: transport.state() }),
		shadow: { cell, agreement: shadow.agreement },
	};
}

/** Virtual hosts of several cells, and of the service itself, may be of one broker. */
function ofCell(cell: string, log: Log): Log {
	const text = (message: string) => `shadow ${cell}: ${message}`;
	return {
		debug: (message) => log.debug(text(message)),
		info: (message) => log.info(text(message)),
		warning: (message) => log.warning(text(message)),
		error: (message) => log.error(text(message)),
		exception: (message, error) => log.exception(text(message), error),
	};
}
