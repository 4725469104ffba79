import { MessageUndeliverable } from "../messaging/errors.ts";
import { toJson } from "../messaging/json.ts";
import { addressText, type ClientTarget } from "../messaging/target.ts";
import { type BusOptions, exitCodeOfFailure, withClient } from "./bus.ts";
import { readArguments, readPairs } from "./call-arguments.ts";
import { CALL_EXIT } from "./exit-codes.ts";

export interface CallCommandOptions extends BusOptions {
	readonly topic: string;
	readonly server?: string;
	readonly namespace?: string;
	readonly rpcVersion?: string;
	readonly cast?: boolean;
	readonly fanout?: boolean;
	/** Seconds. */
	readonly timeout: number;
	/** Seconds. */
	readonly callMonitorTimeout?: number;
	readonly context?: readonly string[];
}

/** `novacompat call`: calls one method, prints what it returns as JSON, and tells by the exit code how it went. */
export async function call(method: string, words: readonly string[], options: CallCommandOptions): Promise<number> {
	const args = readArguments(words);
	const context = readPairs(options.context ?? [], "--context");
	return withClient(options, async (client, exchange) => {
		const target = targetOf(options, exchange);
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
		}
	});
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
