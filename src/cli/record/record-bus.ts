import { once } from "node:events";
import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";
import { MessageDeliveryFailure } from "../../messaging/errors.ts";
import type { RabbitTransport } from "../../messaging/rabbit/rabbit.ts";
import { OWN_METHODS } from "../../nova/methods.ts";
import { COMPUTE_TOPICS } from "../../nova/nova-requests.ts";
import { OBSERVED_METHODS } from "../../nova/observed.ts";
import { MIGRATION_COMPAT_TOPIC } from "../../nova/topic.ts";
import { Recorder } from "../../recording/tap.ts";
import { type BusOptions, connectTo, findBus } from "../bus.ts";
import { complain } from "../complain.ts";
import { counted } from "../counting.ts";
import { untilSignal } from "../daemon/signals.ts";
import { CALL_EXIT } from "../exit-codes.ts";
import { ownerOnly } from "../owner-only.ts";
import { naming } from "../write-file.ts";
import { header } from "./recordings.ts";

export interface RecordBusOptions extends BusOptions {
	readonly output?: string;
}

const METHODS: ReadonlySet<unknown> = new Set([...OWN_METHODS, ...OBSERVED_METHODS]);
/** Handed out before they are acknowledged, which happens as each comes. */
const PREFETCH = 64;

/**
 * `novacompat record` without files: requests as they pass on the bus, until SIGINT or SIGTERM, one line for each, of which nothing
 * is left but what is known to be harmless. Replies go past a listener: they are in no exchange that could be bound to.
 */
export async function recordBus({ output, ...options }: RecordBusOptions): Promise<void> {
	const bus = findBus(options);
	const transport = connectTo(bus, "novacompat-record");
	try {
		// Not before it is known where to listen: what is in the file is gone then.
		if (output !== undefined) ownerOnly(output);
		const file = output === undefined ? process.stdout : createWriteStream(output, { mode: 0o600 });
		const failed = once(file, "error").then(([error]): never => {
			throw output === undefined ? error : naming(output, error);
		});
		let written = 0;
		let isListening = false;
		const write = (line: string) => {
			file.write(line);
			written++;
		};
		file.write(`${JSON.stringify(header(false))}\n`);
		// What goes wrong with the broker is told and tried again, unless it refuses us; a disk that is full ends it.
		const listening = () => {
			isListening = true;
		};
		await Promise.race([failed, untilSignal(), listen(transport, bus.exchange, write, listening)]).catch(refused);
		await transport.close();
		// Also for what was on its way to the disk.
		if (output !== undefined) await Promise.race([failed, ended(file)]);
		if (isListening) return complain(`${counted(written, "message")} recorded`);
		complain("nothing was recorded: it never came to listen on the bus");
		process.exitCode = CALL_EXIT.noBroker;
	} finally {
		await transport.close();
	}
}

function refused(error: unknown): void {
	if (!(error instanceof MessageDeliveryFailure)) throw error;
	complain(error.message);
}

/** Never resolves. */
async function listen(
	transport: RabbitTransport,
	exchange: string,
	write: (line: string) => void,
	listening: () => void,
): Promise<never> {
	const recorder = new Recorder({ write, maxSize: Number.POSITIVE_INFINITY, onFull: () => undefined });
	const keys = [...COMPUTE_TOPICS, MIGRATION_COMPAT_TOPIC].map((topic) => `${topic}.#`);
	await transport.tap(
		{ exchange, keys, queuePrefix: "novacompat.tap.record", prefetch: PREFETCH },
		(delivery) => {
			delivery.ack();
			recorder.record({ exchange, routing_key: delivery.routingKey }, delivery, METHODS);
		},
		() => complain("connected again; what was sent meanwhile is not recorded"),
	);
	listening();
	complain(`recording ${keys.map((key) => `${exchange}/${key}`).join(", ")}; Ctrl-C ends it`);
	return new Promise(() => undefined);
}

function ended(file: Writable): Promise<void> {
	return new Promise((resolve, reject) => {
		file.end((error?: Error | null) => (error ? reject(error) : resolve()));
	});
}
