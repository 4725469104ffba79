import { readConfig } from "../config.ts";
import { RpcClient } from "../messaging/client.ts";
import {
	InvalidRabbitOptions,
	InvalidTarget,
	InvalidTransportUrl,
	MessageDeliveryFailure,
	MessageUndeliverable,
	MessagingTimeout,
	RemoteError,
} from "../messaging/errors.ts";
import type { Log } from "../messaging/log.ts";
import { type RabbitOptions, rabbitOptions } from "../messaging/rabbit/options.ts";
import { RabbitTransport } from "../messaging/rabbit/rabbit.ts";
import { parseTransportUrl, type TransportUrl } from "../messaging/rabbit/transport-url.ts";
import type { ClientTarget } from "../messaging/target.ts";
import { type NovaConf, readNovaConf } from "../nova-conf.ts";
import { complain } from "./complain.ts";
import { type ConfigFileOptions, configFiles } from "./config/files.ts";
import { URL_VARIABLE } from "./environment.ts";
import { CALL_EXIT, UsageError } from "./exit-codes.ts";

/** How the command line says where the broker is. */
export interface BusOptions extends ConfigFileOptions {
	readonly transportUrl?: string;
	readonly novaConf?: readonly string[];
	readonly exchange?: string;
}

/** Where the broker is, and the exchange on which its services listen. */
interface Bus {
	readonly url: TransportUrl;
	readonly options: RabbitOptions;
	readonly exchange: string;
}

/** Seconds: a late reply has a place to go to. */
const REPLY_QUEUE_TTL = 60;
const NOVA = "nova";
const GUEST = "guest";
const NOT_THE_BROKER = "is such a service running, on this broker and this virtual host?";
const NO_REPLY = "its queue is there, so the service is busy or gone; the method may still run";

/** What RabbitTransport says while it connects is of interest when it does not work. */
const CONNECTING: Log = {
	debug: () => undefined,
	info: () => undefined,
	warning: complain,
	error: complain,
	exception: (text, error) => complain(`${text}: ${String(error)}`),
};

/**
 * Connects in the background; what waits for it has a time of its own, or ends with what the broker refuses. The queues of the queue
 * manager are those of one process of a host, and a command is another one each time; so its own expire when a server of oslo.messaging
 * looks no longer for one that is gone.
 */
export function connectTo({ url, options: ofServices }: Bus, connectionName: string): RabbitTransport {
	if (url.driver === "memory") throw new UsageError("memory:// is a bus inside one process, expected rabbit://");
	const options = { ...ofServices, use_queue_manager: false, rabbit_transient_queues_ttl: REPLY_QUEUE_TTL };
	return new RabbitTransport({ url, options, connectionName, log: CONNECTING, isImpatient: true });
}

/** A client of the services on the bus, for as long as `work` takes; it also gets the exchange. */
export async function withClient<T>(
	options: BusOptions,
	work: (client: RpcClient, exchange: string) => Promise<T>,
): Promise<T> {
	const bus = findBus(options);
	const transport = connectTo(bus, "novacompat-call");
	const client = new RpcClient(transport);
	try {
		return await work(client, bus.exchange);
	} finally {
		await client.close();
		await transport.close();
	}
}

/** What was given goes before the environment; what an option says goes before a file. */
export function findBus({ transportUrl, novaConf, exchange, ...named }: BusOptions): Bus {
	if (transportUrl !== undefined) return withoutPassword(busAt(transportUrl, "--transport-url", {}, exchange));
	const files = configFiles(named);
	if (files.length > 0) {
		const {
			transport_url: url,
			oslo_messaging_rabbit,
			control_exchange,
		} = readConfig(files, readNovaConf(novaConf ?? []));
		if (!url) throw new UsageError(`${files.join(", ")}: no transport_url`);
		return { url, options: rabbitOptions(oslo_messaging_rabbit, url.query), exchange: exchange ?? control_exchange };
	}
	if (novaConf !== undefined) {
		const { transport_url, oslo_messaging_rabbit, control_exchange } = readNovaConf(novaConf);
		if (transport_url === undefined) throw new UsageError(`${novaConf.join(", ")}: no transport_url in [DEFAULT]`);
		return busAt(transport_url, novaConf.join(", "), oslo_messaging_rabbit, exchange ?? control_exchange);
	}
	const text = process.env[URL_VARIABLE];
	if (text) return busAt(text, URL_VARIABLE, {}, exchange);
	throw new UsageError(
		`which broker? expected --nova-conf, --config-file, --transport-url or the variable ${URL_VARIABLE}`,
	);
}

/** That of `guest` is none: RabbitMQ takes it from its own machine only. */
function withoutPassword(bus: Bus): Bus {
	if (bus.url.hosts.every(({ password }) => password === GUEST)) return bus;
	throw new UsageError(
		`--transport-url has a password, and everyone on the machine sees the options of a process: expected it in the variable ${URL_VARIABLE}, or --nova-conf or --config-file`,
	);
}

/** `source` is where the URL comes from, for errors. */
function busAt(text: string, source: string, section: NovaConf["oslo_messaging_rabbit"], exchange = NOVA): Bus {
	try {
		const url = parseTransportUrl(text);
		return { url, options: rabbitOptions(section, url.query), exchange };
	} catch (error) {
		if (!(error instanceof InvalidTransportUrl || error instanceof InvalidRabbitOptions)) throw error;
		throw new UsageError(`${source}: ${error.message}`);
	}
}

/** Says what became of a call that has no result. */
export function exitCodeOfFailure(error: unknown, { server }: ClientTarget): number {
	if (error instanceof RemoteError) {
		complain(`${error.excType} (${error.module}): ${error.value}`);
		return CALL_EXIT.failed;
	}
	if (error instanceof MessageUndeliverable) {
		complain(
			`${error.message}: ${server === undefined ? NOT_THE_BROKER : `is "${server}" the name of [DEFAULT]host?`}`,
		);
		return CALL_EXIT.nobody;
	}
	if (error instanceof MessagingTimeout) {
		complain(error.routed ? `${error.message}: ${NO_REPLY}` : error.message);
		return error.routed ? CALL_EXIT.timeout : CALL_EXIT.noBroker;
	}
	if (error instanceof MessageDeliveryFailure) {
		complain(error.message);
		return CALL_EXIT.noBroker;
	}
	if (error instanceof InvalidTarget) throw new UsageError(error.message);
	throw error;
}
