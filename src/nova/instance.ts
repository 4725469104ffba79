import type { Departure, Port } from "../departure.ts";
import { InvalidMessage } from "../messaging/errors.ts";
import { parseJson } from "../messaging/json.ts";
import { type Fields, fieldsOf, InvalidRequest, optionalText, requiredText, safeFields, shown } from "./objects.ts";

/** Of a text that is JSON again; network_info of a hundred ports has 150 kB. */
const MAX_TEXT = 256 * 1024;
/** Resource classes that are no devices. Operators may give mdevs any other one (`mdev_class` of nova.conf). */
const NO_DEVICES = /^(VCPU|PCPU|MEMORY_MB|DISK_GB|CUSTOM_PMEM_NAMESPACE_.*)$/;
const ASKS_FOR_DEVICES = /^(pci_passthrough:alias|accel:device_profile)$/;
/** What Nova unplugs before a live migration and plugs in again after it; a macvtap stays as the virtio device that it is. */
const REPLUGGED: ReadonlySet<string> = new Set(["direct", "direct-physical", "vdpa", "remote-managed"]);

/** All that is kept of Nova's Instance object: its other fields hold keys, user data, addresses and metadata. */
export function departureOf(primitive: unknown): Departure {
	const instance = fieldsOf(primitive, "Instance");
	const flavor = fieldsOf(instance?.["flavor"], "Flavor");
	const pciRequests = fieldsOf(instance?.["pci_requests"], "InstancePCIRequests");
	return {
		instance_uuid: requiredText(instance, "instance", "uuid"),
		source_host: requiredText(instance, "instance", "host"),
		ports: portsOf(networkInfo(instance?.["info_cache"])),
		announced: announcedDevices(flavor?.["extra_specs"], pciRequests?.["requests"]),
	};
}

/**
 * The devices that stay attached as far as the message tells: PCI requests of a flavor alias, and vGPU resources.
 * Requests without alias belong to Neutron ports, which Nova unplugs (specification, Nova 3.1).
 */
export function announcedDevices(extraSpecs: unknown, pciRequests: unknown): Departure["announced"] {
	const flavorExtraSpecs = safeFields(extraSpecs);
	const requests = Array.isArray(pciRequests)
		? pciRequests.map((primitive) => fieldsOf(primitive, "InstancePCIRequest"))
		: undefined;
	const aliases = (requests ?? []).flatMap((request) => {
		const alias = request?.["alias_name"] ?? undefined;
		if (alias === undefined) return [];
		const name = optionalText(request, "alias_name") ?? shown(alias);
		return [{ name: `alias ${name}`, count: countOf(request?.["count"]) }];
	});
	const resources = Object.entries(flavorExtraSpecs ?? {})
		.filter(([key]) => /^resources[^:]*:VGPU$/.test(key))
		.map(([key, value]) => ({ name: key, count: countOf(value) }));
	const announced = [...aliases, ...resources];
	return {
		count: sumOf(announced),
		pci: sumOf(aliases),
		names: announced.map(({ name }) => name).join(", "),
		complete: tellsAll(flavorExtraSpecs, requests),
	};
}

function sumOf(announced: readonly { readonly count: number }[]): number {
	return announced.reduce((sum, { count }) => sum + count, 0);
}

/** What is no number of devices stands for one: Infinity would be null in a journal. */
function countOf(value: unknown): number {
	const count = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
	return Number.isSafeInteger(count) && Number(count) >= 0 ? Number(count) : 1;
}

/** Whether there can be no device beside those that are announced. What is not in the message may be anything. */
function tellsAll(flavorExtraSpecs: Fields | undefined, pciRequests: readonly (Fields | undefined)[] | undefined) {
	if (!flavorExtraSpecs || !pciRequests) return false;
	const mayBeDevice = Object.keys(flavorExtraSpecs).some((key) => {
		const [, resource] = /^resources[^:]*:(.*)$/s.exec(key) ?? [];
		return resource === undefined ? ASKS_FOR_DEVICES.test(key) : !NO_DEVICES.test(resource);
	});
	return !mayBeDevice && pciRequests.every((request) => request?.["alias_name"] === null);
}

/**
 * Neutron ports that have a device on the source, from a list of VIFs. In the domain's XML a `direct-physical` port looks
 * like a device of a flavor alias; only the port's binding profile tells them apart (specification, Nova 3.3).
 */
export function portsOf(vifs: unknown): readonly Port[] {
	if (!Array.isArray(vifs)) return [];
	return vifs.flatMap((item) => {
		const vif = safeFields(item);
		if (vif === undefined) return [];
		const profile = safeFields(vif["profile"]);
		const [id, vnic_type, address] = [
			optionalText(vif, "id"),
			optionalText(vif, "vnic_type"),
			optionalText(profile, "pci_slot")?.toLowerCase(),
		];
		const isReplugged = vnic_type !== undefined && REPLUGGED.has(vnic_type);
		return address === undefined && !isReplugged ? [] : [{ id, vnic_type, address, isReplugged }];
	});
}

/** `InstanceInfoCache.network_info` is JSON inside the JSON. */
export function networkInfo(infoCache: unknown): unknown {
	const text = fieldsOf(infoCache, "InstanceInfoCache")?.["network_info"];
	if (typeof text !== "string") return undefined;
	const what = "instance.info_cache.network_info";
	if (text.length > MAX_TEXT) throw new InvalidRequest(`${what} has more than ${MAX_TEXT} characters`);
	try {
		return parseJson(text, what);
	} catch (error) {
		if (error instanceof InvalidMessage) throw new InvalidRequest(error.message);
		throw error;
	}
}
