import { conclude, type Decision } from "../compat/decide.ts";
import type { Policy } from "../compat/policy.ts";
import { reason } from "../compat/reason.ts";
import { reasonText, summary } from "../compat/summary.ts";
import type { LogContext, Logger } from "../log.ts";
import type { Call, Endpoint, Method } from "../messaging/endpoint.ts";
import { RpcFailure, valueError } from "../messaging/errors.ts";
import type { Precheck, PrecheckRequest } from "../precheck.ts";
import type { RequestContext } from "./context.ts";
import {
	announcedDevices,
	fieldsOf,
	InvalidRequest,
	networkInfo,
	optionalText,
	portAddresses,
	requiredText,
} from "./objects.ts";

/** The topic of our own methods, and the one on which nova-compute listens. */
export const MIGRATION_COMPAT_TOPIC = "migration_compat";
export const COMPUTE_TOPIC = "compute";

/** Nova adds minor versions with every release and never changes these two arguments: any minor will do. */
const ANY_MINOR = 1_000_000;

type NovaCall = Call<RequestContext>;
type Args = Readonly<Record<string, unknown>>;

export interface NovaMethodsOptions {
	readonly precheck: Precheck;
	readonly policy: () => Policy;
	readonly log: Logger;
}

/** Everything that can be called over RPC. */
export function novaEndpoints(options: NovaMethodsOptions): readonly Endpoint<RequestContext>[] {
	const checkLiveMigration: Method<RequestContext> = {
		required: ["request"],
		optional: ["devices"],
		handler: (args, call) => check_live_migration(options, args, call),
	};
	const checkDestination: Method<RequestContext> = {
		required: ["instance"],
		optional: ["block_migration", "disk_over_commit", "migration", "limits"],
		handler: (args, call) => check_can_live_migrate_destination(options, args, call),
	};
	const ours = new Map([["check_live_migration", checkLiveMigration]]);
	const novas = new Map([["check_can_live_migrate_destination", checkDestination]]);
	return [
		{ namespace: null, version: "1.0", methods: ours },
		{ namespace: null, version: `5.${ANY_MINOR}`, methods: novas },
		{ namespace: null, version: `6.${ANY_MINOR}`, methods: novas },
	];
}

/** Ours, 1.0: returns the Decision. What is not compatible is an answer, a malformed request a ValueError. */
async function check_live_migration(options: NovaMethodsOptions, args: Args, call: NovaCall): Promise<Decision> {
	try {
		return await answer(options, readOwnRequest(args), call);
	} catch (error) {
		if (error instanceof InvalidRequest) throw valueError(error.message);
		throw error;
	}
}

function readOwnRequest(args: Args): PrecheckRequest {
	const fields = fieldsOf(args["request"], "request");
	const devices = args["devices"] ?? fields?.["devices"] ?? undefined;
	if (devices !== undefined && !isTextList(devices)) {
		throw new InvalidRequest("request.devices is not a list of device ids");
	}
	return {
		instance_uuid: requiredText(fields, "request", "instance_uuid"),
		source_host: requiredText(fields, "request", "source_host"),
		dest_host: requiredText(fields, "request", "dest_host"),
		devices,
		ports: portAddresses(fields?.["vifs"]),
		announced: announcedDevices(fields?.["flavor_extra_specs"], fields?.["pci_requests"]),
	};
}

/**
 * Nova's own pre-check (nova/compute/rpcapi.py): null when the migration may go on. Anything but MigrationPreCheckError
 * would set the instance to ERROR, so every doubt becomes one.
 */
async function check_can_live_migrate_destination(
	options: NovaMethodsOptions,
	args: Args,
	call: NovaCall,
): Promise<null> {
	let decision: Decision;
	try {
		decision = await answer(options, readNovaRequest(args, call), call);
	} catch (error) {
		if (!(error instanceof InvalidRequest)) options.log.error(`check failed: ${String(error)}`, call.context);
		const text = error instanceof InvalidRequest ? error.message : "the check failed, see the log of novacompat";
		decision = conclude("unknown", [reason("request.invalid", "nova", text)], options.policy());
	}
	if (decision.allowed) return null;
	throw migrationPreCheckError(reasonText(decision));
}

function readNovaRequest(args: Args, { target }: NovaCall): PrecheckRequest {
	const instance = fieldsOf(args["instance"], "Instance");
	const migration = fieldsOf(args["migration"], "Migration");
	const flavor = fieldsOf(instance?.["flavor"], "Flavor");
	const pciRequests = fieldsOf(instance?.["pci_requests"], "InstancePCIRequests");
	// In Nova's scheduled path the routing key is the only place that names the destination.
	const dest_host = target.topic === COMPUTE_TOPIC ? target.server : optionalText(migration, "dest_compute");
	if (dest_host === undefined) {
		throw new InvalidRequest(
			`the destination is not named: the message did not arrive on ${COMPUTE_TOPIC}.<host>, and migration.dest_compute is not set`,
		);
	}
	return {
		instance_uuid: requiredText(instance, "instance", "uuid"),
		source_host: requiredText(instance, "instance", "host"),
		dest_host,
		ports: portAddresses(networkInfo(instance?.["info_cache"])),
		announced: announcedDevices(flavor?.["extra_specs"], pciRequests?.["requests"]),
	};
}

/** Constructor arguments as in nova/exception.py: the full message, and the fields that formatted it. */
function migrationPreCheckError(text: string): RpcFailure {
	const message = `Migration pre-check error: ${text}`;
	return new RpcFailure("MigrationPreCheckError", "nova.exception", message, [message], { reason: text, code: 500 });
}

/** Asks, and writes the one log line of a decision. */
async function answer(
	{ precheck, log }: NovaMethodsOptions,
	request: PrecheckRequest,
	call: NovaCall,
): Promise<Decision> {
	const { instance_uuid, source_host, dest_host } = request;
	const decision = await precheck(request, { signal: call.signal, request_id: call.context.request_id });
	const line = `live migration ${source_host} -> ${dest_host}: ${summary(decision)}`;
	const about: LogContext = { ...call.context, instance: instance_uuid };
	if (decision.verdict === "unknown") log.warning(line, about);
	else log.info(line, about);
	return decision;
}

function isTextList(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((item) => typeof item === "string");
}
