import { DEVICE_ID_FORMS, isDeviceId } from "../compat/device.ts";
import type { Departure } from "../departure.ts";
import type { PrecheckRequest } from "../precheck.ts";
import type { RankRequest } from "../ranking.ts";
import { announcedDevices, portsOf } from "./instance.ts";
import { fieldsOf, InvalidRequest, requiredText, shown } from "./objects.ts";

/** Every one of them is asked at once. */
const MAX_DEST_HOSTS = 1024;
/** Far above what one instance can have. */
const MAX_DEVICES = 1024;

type Args = Readonly<Record<string, unknown>>;

/** That of `check_live_migration`. @throws {InvalidRequest} */
export function readOwnRequest(args: Args): PrecheckRequest {
	const fields = requestOf(args);
	const [departure, dest_host] = [readDeparture(args, fields), requiredText(fields, "request", "dest_host")];
	if (dest_host !== departure.source_host) return { ...departure, dest_host };
	// What the instance has is in use there, so that other devices would be all there is to compare.
	throw new InvalidRequest(
		`request.dest_host is ${shown(dest_host)}, the host that the instance leaves: Nova refuses that itself (UnableToMigrateToSelf)`,
	);
}

/** That of `rank_destinations`. @throws {InvalidRequest} */
export function readRankRequest(args: Args): RankRequest {
	const fields = requestOf(args);
	const dest_hosts = fields["dest_hosts"];
	if (!isTextList(dest_hosts) || dest_hosts.length > MAX_DEST_HOSTS || !dest_hosts.every(isHostName)) {
		throw new InvalidRequest(`request.dest_hosts is not a list of at most ${MAX_DEST_HOSTS} host names`);
	}
	const limit = fields["limit"] ?? undefined;
	if (limit !== undefined && !(typeof limit === "number" && Number.isInteger(limit) && limit >= 1)) {
		throw new InvalidRequest(`request.limit is ${shown(limit)}, expected a whole number of at least 1`);
	}
	return { ...readDeparture(args, fields), dest_hosts, limit };
}

function requestOf({ request }: Args): Args {
	const fields = fieldsOf(request, "request");
	if (fields) return fields;
	// Not what it is: in a place of its own each value is known to be an id or a name, this may be a token.
	const kind = Array.isArray(request) ? "list" : typeof request;
	throw new InvalidRequest(`request is ${request === null ? "null" : `a ${kind}`}, expected an object`);
}

function readDeparture(args: Args, fields: Args): Departure {
	const devices = readDevices(args["devices"] ?? fields["devices"] ?? undefined);
	return {
		// As Nova and agents write it: uuids are compared as texts.
		instance_uuid: requiredText(fields, "request", "instance_uuid").toLowerCase(),
		source_host: requiredText(fields, "request", "source_host"),
		devices,
		ports: portsOf(fields["vifs"]),
		announced: announcedDevices(fields["flavor_extra_specs"], fields["pci_requests"]),
	};
}

/** Ids are looked up among those of a snapshot; what can be none of them is a mistake. Who names none has not said that there is none. */
function readDevices(devices: unknown): readonly string[] | undefined {
	if (devices === undefined || (Array.isArray(devices) && devices.length === 0)) return undefined;
	if (!isTextList(devices) || devices.length > MAX_DEVICES) {
		throw new InvalidRequest(`request.devices is not a list of at most ${MAX_DEVICES} device ids`);
	}
	const wrong = devices.findIndex((id) => !isDeviceId(id));
	if (wrong < 0) return devices;
	throw new InvalidRequest(`request.devices.${wrong} is ${shown(devices[wrong])}, expected ${DEVICE_ID_FORMS}`);
}

function isHostName(text: string): boolean {
	return text.length >= 1 && text.length <= 255;
}

function isTextList(value: unknown): value is readonly string[] {
	return Array.isArray(value) && value.every((item) => typeof item === "string");
}
