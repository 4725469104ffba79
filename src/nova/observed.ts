import { openEnvelope, readRequest } from "../messaging/message.ts";
import type { Delivery } from "../messaging/transport.ts";
import type { PrecheckRequest } from "../precheck.ts";
import { deserializeContext, type RequestContext } from "./context.ts";
import { departureOf } from "./instance.ts";
import { fieldsOf, InvalidRequest, requiredText, safeFields } from "./objects.ts";

/** Nova asks a destination whether the instance may come. */
interface Check {
	readonly kind: "check";
	readonly request: PrecheckRequest;
	readonly context: RequestContext;
}

/** Nova tells the source to begin: every pre-check has passed. */
interface Start {
	readonly kind: "start";
	readonly instance_uuid: string;
	readonly dest_host: string;
	/** Device id -> device id; empty when nothing stays attached, and before Nova 29. */
	readonly mapping: Readonly<Record<string, string>>;
	readonly context: RequestContext;
}

export type Observed = Check | Start;

type Args = Readonly<Record<string, unknown>>;
type Read = (args: Args, routingKey: string, context: RequestContext) => Observed;

/** Of all that goes to compute nodes, what is looked at; the rest holds passwords of guests and of storage. */
const METHODS: ReadonlyMap<string, Read> = new Map<string, Read>([
	["check_can_live_migrate_destination", readCheck],
	["live_migration", readStart],
]);

/** By name. */
export const OBSERVED_METHODS: ReadonlySet<string> = new Set(METHODS.keys());

const MAX_DEVICES = 256;

/**
 * What a message on a cell's bus says of a live migration; undefined for any other. Nothing else of it is kept. Throws
 * InvalidMessage when it is no message of oslo.messaging's, InvalidRequest when it is not what Nova sends.
 */
export function observe(delivery: Delivery): Observed | undefined {
	return observeMessage(openEnvelope(delivery), delivery.routingKey, delivery.traceparent);
}

/** The same of one whose envelope is open. Throws InvalidRequest. */
export function observeMessage(
	message: Parameters<typeof readRequest>[0],
	routingKey: string,
	traceparent?: string,
): Observed | undefined {
	const { method, args, context } = readRequest(message);
	return METHODS.get(method)?.(args, routingKey, deserializeContext(context, traceparent));
}

/** The destination stands nowhere but in the routing key, `compute.<host>`. */
function readCheck(args: Args, routingKey: string, context: RequestContext): Check {
	const dest_host = routingKey.slice(routingKey.indexOf(".") + 1);
	return { kind: "check", request: { ...departureOf(args["instance"]), dest_host }, context };
}

function readStart(args: Args, _routingKey: string, context: RequestContext): Start {
	const instance = fieldsOf(args["instance"], "Instance");
	const data = fieldsOf(args["migrate_data"], "LibvirtLiveMigrateData");
	return {
		kind: "start",
		instance_uuid: requiredText(instance, "instance", "uuid"),
		dest_host: requiredText(args, "live_migration", "dest"),
		mapping: { ...deviceMap(data, "target_mdevs"), ...deviceMap(data, "pci_dev_map_src_dst") },
		context,
	};
}

function deviceMap(data: ReturnType<typeof fieldsOf>, field: string): Readonly<Record<string, string>> {
	const map = safeFields(data?.[field] ?? {});
	const pairs = Object.entries(map ?? {});
	const isDevice = (id: unknown): id is string => typeof id === "string" && id.length <= 64;
	if (pairs.length > MAX_DEVICES || map === undefined || !pairs.flat().every(isDevice)) {
		throw new InvalidRequest(`migrate_data.${field} is not an object of at most ${MAX_DEVICES} device ids`);
	}
	return Object.fromEntries(pairs.map(([from, to]) => [from.toLowerCase(), String(to).toLowerCase()]));
}
