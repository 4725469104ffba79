import { readConfig } from "../config.ts";
import { printable } from "../log.ts";
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
import { toJson } from "../messaging/json.ts";
import type { Log } from "../messaging/log.ts";
import { RabbitTransport } from "../messaging/rabbit.ts";
import { type RabbitOptions, rabbitOptions } from "../messaging/rabbit-options.ts";
import { addressText, type ClientTarget } from "../messaging/target.ts";
import { parseTransportUrl, type TransportUrl } from "../messaging/transport-url.ts";
import { type NovaConf, readNovaConf } from "../nova-conf.ts";
import { readArguments, readPairs, URL_VARIABLE } from "./call-arguments.ts";
import { CALL_EXIT, UsageError } from "./exit-codes.ts";

export interface CallCommandOptions {
	readonly transportUrl?: string;
	readonly configFile?: string;
	readonly novaConf?: readonly string[];
	readonly exchange?: string;
	readonly topic: string;
	readonly server?: string;
	readonly namespace?: string;
	readonly rpcVersion?: string;
	readonly cast?: boolean;
	readonly fanout?: boolean;
	/** Seconds. */
	readonly timeout: number;
	readonly callMonitorTimeout?: number;
	readonly context?: readonly string[];
}

const NOVA = "nova";
const NOT_THE_BROKER = "is such a service running, on this broker and this virtual host?";
const NO_REPLY = "its queue is there, so the service is busy or gone; the method may still run";

/** What RabbitTransport says while it connects is of interest when it does not work. */
const CONNECTING: Log = { debug: () => undefined, info: () => undefined, warning: complain, error: complain };

/** Where the broker is, and the exchange on which its services listen. */
interface Bus {
	readonly url: TransportUrl;
	readonly options: RabbitOptions;
	readonly exchange: string;
}

/** `novacompat call`: calls one method, prints what it returns as JSON, and tells by the exit code how it went. */
export async function call(method: string, words: readonly string[], options: CallCommandOptions): Promise<number> {
	const args = readArguments(words);
	const context = readPairs(options.context ?? [], "--context");
	const bus = findBus(options);
	const { url } = bus;
	if (url.driver === "memory") throw new UsageError("memory:// is a bus inside one process, expected rabbit://");
	const target = targetOf(options, bus.exchange);
	const transport = new RabbitTransport({
		url,
		options: bus.options,
		connectionName: "novacompat-call",
		log: CONNECTING,
	});
	const client = new RpcClient(transport);
	try {
		if (options.cast) {
			const outcome = await client.cast(target, method, args, context);
			if (outcome === "unroutable") throw new MessageUndeliverable(`nothing listens on ${addressText(target)}`);
			return CALL_EXIT.result;
		}
		const { timeout, callMonitorTimeout } = options;
		const result = await client.call(target, method, args, {
			timeout,
			...(callMonitorTimeout !== undefined && { callMonitorTimeout }),
			context,
		});
		process.stdout.write(`${toJson(result, 2)}\n`);
		return CALL_EXIT.result;
	} catch (error) {
		return exitCodeOfFailure(error, target);
	} finally {
		await client.close();
		await transport.close();
	}
}

/** What was given goes before the environment; what an option says goes before a file. */
function findBus({ transportUrl, configFile, novaConf, exchange }: CallCommandOptions): Bus {
	if (transportUrl !== undefined) return busAt(transportUrl, "--transport-url", {}, exchange);
	if (configFile !== undefined) {
		const {
			transport_url: url,
			oslo_messaging_rabbit,
			control_exchange,
		} = readConfig(configFile, readNovaConf(novaConf ?? []));
		if (!url) throw new UsageError(`${configFile}: no transport_url`);
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

function targetOf(
	{ topic, server, namespace, rpcVersion, fanout }: CallCommandOptions,
	exchange: string,
): ClientTarget {
	return {
		exchange,
		topic,
		...(server !== undefined && { server }),
		...(namespace !== undefined && { namespace }),
		...(rpcVersion !== undefined && { version: rpcVersion }),
		...(fanout && { fanout }),
	};
}

/** Says what became of a call that has no result. */
function exitCodeOfFailure(error: unknown, { server }: ClientTarget): number {
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
		complain(error.sent ? `${error.message}: ${NO_REPLY}` : error.message);
		return error.sent ? CALL_EXIT.timeout : CALL_EXIT.noBroker;
	}
	if (error instanceof MessageDeliveryFailure) {
		complain(error.message);
		return CALL_EXIT.noBroker;
	}
	if (error instanceof InvalidTarget) throw new UsageError(error.message);
	throw error;
}

function complain(text: string): void {
	process.stderr.write(`novacompat: ${printable(text)}\n`);
}
