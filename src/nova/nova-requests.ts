import type { ServerTarget } from "../messaging/target.ts";
import type { PrecheckRequest, UnmadeCheck } from "../precheck.ts";
import { departureOf } from "./instance.ts";
import { fieldsOf, InvalidRequest, optionalText } from "./objects.ts";

/** The topic on which nova-compute listens. */
export const COMPUTE_TOPIC = "compute";
/** With its second one since Nova 33 (RPC 6.5), which it serves until the end of its graceful shutdown. */
export const COMPUTE_TOPICS: readonly string[] = [COMPUTE_TOPIC, "compute-alt"];

type Args = Readonly<Record<string, unknown>>;

/** The request of Nova's own pre-check. @throws {InvalidRequest} */
export function readNovaRequest(args: Args, target: ServerTarget): PrecheckRequest {
	const dest_host = destinationOf(args, target);
	if (dest_host === undefined) {
		throw new InvalidRequest(
			`the destination is not named: the message did not arrive on ${COMPUTE_TOPIC}.<host>, and migration.dest_compute is not set`,
		);
	}
	return { ...departureOf(args["instance"]), dest_host };
}

/** In Nova's scheduled path the routing key is the only place that names the destination. */
function destinationOf(args: Args, target: ServerTarget): string | undefined {
	const isNamed = COMPUTE_TOPICS.includes(target.topic);
	return isNamed ? target.server : optionalText(fieldsOf(args["migration"], "Migration"), "dest_compute");
}

/** What a request is about that cannot be read as a whole: somebody will look for the instance. */
export function readableParts(args: Args, target: ServerTarget): UnmadeCheck["request"] {
	const instance = attempted(() => fieldsOf(args["instance"], "Instance"));
	const parts = {
		instance_uuid: optionalText(instance, "uuid"),
		source_host: optionalText(instance, "host"),
		dest_host: attempted(() => destinationOf(args, target)),
	};
	return Object.fromEntries(Object.entries(parts).filter(([, text]) => text !== undefined));
}

function attempted<T>(read: () => T): T | undefined {
	try {
		return read();
	} catch {
		return undefined;
	}
}
