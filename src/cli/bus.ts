import { readConfig } from "../config.ts";
import { InvalidRabbitOptions, InvalidTransportUrl } from "../messaging/errors.ts";
import type { Log } from "../messaging/log.ts";
import { RabbitTransport } from "../messaging/rabbit.ts";
import { type RabbitOptions, rabbitOptions } from "../messaging/rabbit-options.ts";
import { parseTransportUrl, type TransportUrl } from "../messaging/transport-url.ts";
import { type NovaConf, readNovaConf } from "../nova-conf.ts";
import { URL_VARIABLE } from "./call-arguments.ts";
import { complain } from "./complain.ts";
import { UsageError } from "./exit-codes.ts";

const NOVA = "nova";

/** How the command line says where the broker is. */
export interface BusOptions {
	readonly transportUrl?: string;
	readonly configFile?: string;
	readonly novaConf?: readonly string[];
	readonly exchange?: string;
}

/** Where the broker is, and the exchange on which its services listen. */
interface Bus {
	readonly url: TransportUrl;
	readonly options: RabbitOptions;
	readonly exchange: string;
}

/** What RabbitTransport says while it connects is of interest when it does not work. */
const CONNECTING: Log = { debug: () => undefined, info: () => undefined, warning: complain, error: complain };

/** Connects in the background; what waits for it has a time of its own. */
export function connectTo({ url, options }: Bus, connectionName: string): RabbitTransport {
	if (url.driver === "memory") throw new UsageError("memory:// is a bus inside one process, expected rabbit://");
	return new RabbitTransport({ url, options, connectionName, log: CONNECTING });
}

/** What was given goes before the environment; what an option says goes before a file. */
export function findBus({ transportUrl, configFile, novaConf, exchange }: BusOptions): Bus {
	if (transportUrl !== undefined) return busAt(transportUrl, "--transport-url", {}, exchange);
	if (configFile !== undefined) {
		const {
			transport_url: url,
			oslo_messaging_rabbit,
			control_exchange,
		} = readConfig(configFile, readNovaConf(novaConf ?? []));
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
