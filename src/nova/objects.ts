import { toJson } from "../messaging/json.ts";

/** The primitive of a Nova versioned object (nova/objects/base.py): only the fields that are set are there. */
export type Fields = Readonly<Record<string, unknown>>;

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

/** Enough of a value to recognise it; a whole object could hold secrets. */
export function shown(value: unknown): string {
	if (value === undefined) return "missing";
	return typeof value === "object" && value !== null ? "an object" : toJson(value).slice(0, 64);
}
