import { RpcClient } from "../messaging/client.ts";
import {
	InvalidTarget,
	MessageDeliveryFailure,
	MessageUndeliverable,
	MessagingTimeout,
	RemoteError,
} from "../messaging/errors.ts";
import { toJson } from "../messaging/json.ts";
import { addressText, type ClientTarget } from "../messaging/target.ts";
import { type BusOptions, connectTo, findBus } from "./bus.ts";
import { readArguments, readPairs } from "./call-arguments.ts";
import { complain } from "./complain.ts";
import { CALL_EXIT, UsageError } from "./exit-codes.ts";

export interface CallCommandOptions extends BusOptions {
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

const NOT_THE_BROKER = "is such a service running, on this broker and this virtual host?";
const NO_REPLY = "its queue is there, so the service is busy or gone; the method may still run";

/** `novacompat call`: calls one method, prints what it returns as JSON, and tells by the exit code how it went. */
export async function call(method: string, words: readonly string[], options: CallCommandOptions): Promise<number> {
	const args = readArguments(words);
	const context = readPairs(options.context ?? [], "--context");
	const bus = findBus(options);
	const target = targetOf(options, bus.exchange);
	const transport = connectTo(bus, "novacompat-call");
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
