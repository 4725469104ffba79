import type { Departure, Port } from "../departure.ts";
import { InvalidMessage } from "../messaging/errors.ts";
import { parseJson, toJson } from "../messaging/json.ts";

/** The primitive of a Nova versioned object (nova/objects/base.py): only the fields that are set are there. */
type Fields = Readonly<Record<string, unknown>>;

/** Major versions that we know how to read, by object name; minor versions only add fields. */
const KNOWN_MAJOR: Readonly<Record<string, string>> = {
	Instance: "2",
	Migration: "1",
	Flavor: "1",
	InstanceInfoCache: "1",
	InstancePCIRequests: "1",
	InstancePCIRequest: "1",
	LibvirtLiveMigrateData: "1",
};

/** Names that JavaScript has plans for, and no release of Nova. */
const UNSAFE_KEYS = ["__proto__", "constructor", "prototype"] as const;
/** Of a text that is JSON again; network_info of a hundred ports has 150 kB. */
const MAX_TEXT = 256 * 1024;

/** What was left out of objects that were read, since the start of the process. oslo.messaging hands such keys on, and so does messaging/. */
export const droppedKeys = { count: 0 };

/** A message whose content is not what Nova sends; names the field, what it is and what was expected. */
export class InvalidRequest extends Error {
	override readonly name = "InvalidRequest";
}

/** The data of an object, or of a plain dictionary in its place; undefined when there is none. */
export function fieldsOf(primitive: unknown, name: string): Fields | undefined {
	const object = safeFields(primitive);
	const data = object?.["nova_object.data"];
	if (object === undefined || data === undefined) return object;
	const version = object["nova_object.version"];
	const known = KNOWN_MAJOR[name];
	if (typeof version !== "string" || version.split(".", 1)[0] !== known) {
		throw new InvalidRequest(`${name} has version ${shown(version)}, expected ${known}.x`);
	}
	return safeFields(data);
}

/** An object without what it must not have; undefined for what is none. */
export function safeFields(value: unknown): Fields | undefined {
	if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
	const unsafe = UNSAFE_KEYS.filter((key) => Object.hasOwn(value, key));
	if (unsafe.length === 0) return value as Fields;
	droppedKeys.count += unsafe.length;
	const names: ReadonlySet<string> = new Set(unsafe);
	return Object.fromEntries(Object.entries(value).filter(([key]) => !names.has(key)));
}

/** A text field that must be there. */
export function requiredText(fields: Fields | undefined, name: string, field: string): string {
	const value = optionalText(fields, field);
	if (value !== undefined) return value;
	throw new InvalidRequest(`${name}.${field} is ${shown(fields?.[field])}, expected a text of 1 to 255 characters`);
}

/** The field when it is a text of sensible length; null and absent ("not loaded") are the same. */
export function optionalText(fields: Fields | undefined, field: string): string | undefined {
	const value = fields?.[field];
	return typeof value === "string" && value.length >= 1 && value.length <= 255 ? value : undefined;
}

/** Resource classes that are no devices. Operators may give mdevs any other one (`mdev_class` of nova.conf). */
const NO_DEVICES = /^(VCPU|PCPU|MEMORY_MB|DISK_GB|CUSTOM_PMEM_NAMESPACE_.*)$/;
const ASKS_FOR_DEVICES = /^(pci_passthrough:alias|accel:device_profile)$/;

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

/** What Nova unplugs before a live migration and plugs in again after it; a macvtap stays as the virtio device that it is. */
const REPLUGGED: ReadonlySet<string> = new Set(["direct", "direct-physical", "vdpa", "remote-managed"]);

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

/** Enough of a value to recognise it; a whole object could hold secrets. */
export function shown(value: unknown): string {
	if (value === undefined) return "missing";
	return typeof value === "object" && value !== null ? "an object" : toJson(value).slice(0, 64);
}
