import { InvalidTransportUrl } from "./messaging/errors.ts";
import { OsloBoolean, problemOfOption, RabbitOptions } from "./messaging/rabbit/options.ts";
import { parseTransportUrl } from "./messaging/rabbit/transport-url.ts";
import { OsloConfig, type Place } from "./oslo-config.ts";
import { ConfigError } from "./yaml.ts";

/** What nova.conf says of the bus, by the names that our own configuration has for it. */
export interface NovaConf {
	readonly transport_url?: string;
	readonly control_exchange?: string;
	readonly rpc_ping_enabled?: boolean;
	readonly oslo_messaging_rabbit: Readonly<Record<string, string>>;
}

const RABBIT = "oslo_messaging_rabbit";
const TRANSPORT_URL: Place = ["DEFAULT", "transport_url"];

/** Where oslo.messaging looked until 16.0 (17.0 for the misspelled ones) for an option that is not at its place. */
const FORMER_PLACES: Readonly<Record<string, readonly Place[]>> = {
	ssl: [[RABBIT, "rabbit_use_ssl"]],
	ssl_key_file: [[RABBIT, "kombu_ssl_keyfile"]],
	ssl_cert_file: [[RABBIT, "kombu_ssl_certfile"]],
	ssl_ca_file: [[RABBIT, "kombu_ssl_ca_certs"]],
	kombu_missing_consumer_retry_timeout: [[RABBIT, "kombu_reconnect_timeout"]],
	rabbit_quorum_max_memory_length: [[RABBIT, "rabbit_quroum_max_memory_length"]],
	rabbit_quorum_max_memory_bytes: [[RABBIT, "rabbit_quroum_max_memory_bytes"]],
	rabbit_login_method: [["DEFAULT", "rabbit_login_method"]],
	rabbit_ha_queues: [["DEFAULT", "rabbit_ha_queues"]],
	amqp_auto_delete: [["DEFAULT", "amqp_auto_delete"]],
};

/** Two processes of one `processname` steal each other's replies: that of Nova must not be ours. */
const TAKEN = Object.keys(RabbitOptions.shape).filter((option) => option !== "processname");

/**
 * Reads files as `nova-compute --config-file` does: an option has the value of the last file that sets it. What other
 * options say does not matter. Throws ConfigError with file:line, which never quotes a transport_url.
 */
export function readNovaConf(files: readonly string[]): NovaConf {
	const conf = new OsloConfig(files);
	const take = (places: readonly Place[], problemOf: (value: string) => string | undefined) => {
		const found = conf.get(places);
		if (!found) return undefined;
		const value = conf.substituted(found);
		const problem = problemOf(value);
		if (problem === undefined) return value;
		const at = `${found.file}:${found.line}: `;
		if (places.includes(TRANSPORT_URL)) throw new ConfigError(`${at}${problem}`);
		// Further lines, or what a "$" stands for, may be a transport_url.
		throw new ConfigError(`${at}${found.key}: ${problem}, got ${JSON.stringify(found.value.split("\n", 1)[0])}`);
	};
	const transportUrl = take([TRANSPORT_URL], problemOfTransportUrl);
	const exchange = take([["DEFAULT", "control_exchange"]], problemOfName);
	const ping = take([["DEFAULT", "rpc_ping_enabled"]], problemOfBoolean);
	const options = TAKEN.flatMap((option) => {
		const places: readonly Place[] = [[RABBIT, option], ...(FORMER_PLACES[option] ?? [])];
		const value = take(places, (text) => problemOfOption(option, text));
		return value === undefined ? [] : [[option, value] as const];
	});
	return {
		...(transportUrl !== undefined && { transport_url: transportUrl }),
		...(exchange !== undefined && { control_exchange: exchange }),
		...(ping !== undefined && { rpc_ping_enabled: OsloBoolean.parse(ping) }),
		oslo_messaging_rabbit: Object.fromEntries(options),
	};
}

function problemOfTransportUrl(text: string): string | undefined {
	try {
		parseTransportUrl(text);
		return undefined;
	} catch (error) {
		if (error instanceof InvalidTransportUrl) return error.message;
		throw error;
	}
}

const problemOfName = (text: string) => (text === "" ? "expected a name" : undefined);
const problemOfBoolean = (text: string) => OsloBoolean.safeParse(text).error?.issues[0]?.message;
