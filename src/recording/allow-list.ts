import { parseJson, toJson } from "../messaging/json.ts";

/**
 * What is kept of a value: `true` of a text, number or boolean; an object of the fields that it names; a list of what each
 * item may have; or what a function makes of it. Everything else is left out, because nobody knows what the next release adds.
 */
type Kept = true | { readonly [field: string]: Kept } | readonly [Kept] | ((value: unknown) => unknown);

const MAX_TEXT = 1024;
const ID = /^[0-9A-Za-z_.-]{1,128}$/;
/** Which devices a flavor asks for, and how much of what: the rest may be anything. */
const EXTRA_SPEC = /^(resources[0-9A-Za-z_-]*:[0-9A-Z_]+|pci_passthrough:alias|accel:device_profile)$/;

const NOTHING: Kept = () => null;
const id = (value: unknown) => (typeof value === "string" && ID.test(value) ? value : undefined);
/** Names of arguments that nobody knows belong to the answer: "unexpected keyword argument". */
const name = (value: string) => /^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(value);
const extraSpecs = (value: unknown) =>
	mapOf(value, (key, item) => (EXTRA_SPEC.test(key) ? keep(item, true) : undefined));
const scalars = (value: unknown) => mapOf(value, (_key, item) => keep(item, true));

const VIFS: Kept = [{ id, vnic_type: true, profile: { pci_slot: true } }];
const PCI_REQUESTS: Kept = [{ alias_name: true, count: true }];

/** Which device becomes which, as Nova has chosen. */
const DEVICE = /^[0-9A-Za-z:._/-]{1,64}$/;
const deviceMap = (value: unknown) => mapOf(value, (key, item) => (DEVICE.test(key) ? only(DEVICE, item) : undefined));

const INSTANCE: Kept = {
	uuid: true,
	host: true,
	flavor: { extra_specs: extraSpecs },
	pci_requests: { requests: PCI_REQUESTS },
	info_cache: { network_info: inJson(VIFS) },
};

const ARGUMENTS: ReadonlyMap<string, Kept> = new Map<string, Kept>(
	Object.entries({
		instance: INSTANCE,
		migration: { source_compute: true, dest_compute: true },
		block_migration: true,
		disk_over_commit: true,
		limits: {},
		dest: true,
		migrate_data: { target_mdevs: deviceMap, pci_dev_map_src_dst: deviceMap },
		request: {
			instance_uuid: true,
			source_host: true,
			dest_host: true,
			dest_hosts: [true],
			devices: [true],
			flavor_extra_specs: extraSpecs,
			pci_requests: PCI_REQUESTS,
			vifs: VIFS,
		},
		devices: [true],
		arg: true,
	}),
);

const REQUEST: Kept = {
	method: true,
	namespace: true,
	version: true,
	args: (value) => mapOf(value, (key, item) => (name(key) ? keep(item, ARGUMENTS.get(key) ?? NOTHING) : undefined)),
	_msg_id: id,
	_reply_q: id,
	_timeout: true,
	_unique_id: id,
	_context_request_id: id,
	_context_global_request_id: id,
	_context_user_id: id,
	_context_project_id: id,
};

const DECISION = {
	id: true,
	verdict: true,
	allowed: true,
	mapping: scalars,
	reasons: (value: unknown) => (Array.isArray(value) ? value.map(scalars) : null),
	text: true,
} as const satisfies Kept;

const RESULT: Kept = {
	...DECISION,
	snapshots: (value) => mapOf(value, (_host, item) => keep(item, { boot_id: id, generation: true })),
	hosts: [{ ...DECISION, host: true, bugfix: true, free_capacity: true }],
	service: true,
	arg: true,
};

const REPLY: Kept = {
	result: (value) =>
		typeof value === "string" && value !== "pong" ? null : keep(value, isObject(value) ? RESULT : true),
	failure: reduceFailure,
	ending: true,
	_msg_id: id,
	_unique_id: id,
};

/** Failures whose words are made of what is kept; those of other programs may have anything in them. */
const SPOKEN: ReadonlySet<unknown> = new Set(["MigrationPreCheckError", "NoSuchMethod", "UnsupportedVersion"]);

/** In the place of a traceback: ours have none, so it says that the failure is another service's. */
const LEFT_OUT = "left out";

/** A request or a reply, without anything that is not known to be harmless: before it is written anywhere. */
export function reduceMessage(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
	return keep(message, Object.hasOwn(message, "method") ? REQUEST : REPLY) as Record<string, unknown>;
}

function keep(value: unknown, kept: Kept): unknown {
	if (typeof kept === "function") return kept(value);
	if (kept === true) return scalar(value);
	if (isList(kept)) return Array.isArray(value) ? value.map((item) => keep(item, kept[0])) : null;
	if (!isObject(value)) return null;
	const data = value["nova_object.data"];
	const fields = mapOf(isObject(data) ? data : value, (key, item) => {
		const rule = Object.hasOwn(kept, key) ? kept[key] : undefined;
		return rule && keep(item, rule);
	});
	if (!isObject(data)) return fields;
	const { "nova_object.name": name, "nova_object.version": version } = value;
	return {
		"nova_object.name": only(/^[A-Za-z][A-Za-z0-9]{0,63}$/, name),
		"nova_object.version": only(/^\d+(\.\d+)*$/, version),
		"nova_object.data": fields,
	};
}

/** Without prototype: a key may be `__proto__`. What is undefined is left out. */
function mapOf(value: unknown, kept: (key: string, item: unknown) => unknown): Record<string, unknown> | null {
	if (!isObject(value)) return null;
	const pairs = Object.entries(value).map(([key, item]) => [key, kept(key, item)] as const);
	return Object.fromEntries(pairs.filter(([, item]) => item !== undefined));
}

function only(form: RegExp, value: unknown): unknown {
	return typeof value === "string" && form.test(value) ? value.slice(0, MAX_TEXT) : null;
}

function scalar(value: unknown): unknown {
	if (typeof value === "string") return value.slice(0, MAX_TEXT);
	return typeof value === "object" || value === undefined ? null : value;
}

/** `InstanceInfoCache.network_info` is JSON in a text. */
function inJson(kept: Kept): Kept {
	return (value) => {
		const inner = typeof value === "string" ? tryParse(value) : undefined;
		// What is not JSON stays what it is, no JSON: the answer is about that.
		return inner === undefined ? scalar(typeof value === "string" ? "" : value) : toJson(keep(inner, kept));
	};
}

function reduceFailure(value: unknown): string | null {
	if (typeof value !== "string") return null;
	const parsed = tryParse(value);
	const failure = isObject(parsed) ? parsed : {};
	const { class: type, module, message, tb, args, kwargs } = failure;
	const words = SPOKEN.has(type) && {
		message: scalar(message),
		args: keep(args, [true]),
		kwargs: keep(kwargs, { reason: true, code: true }),
	};
	return toJson({ class: scalar(type), module: scalar(module), tb: hasLines(tb) ? [LEFT_OUT] : [], ...words });
}

function hasLines(tb: unknown): boolean {
	return Array.isArray(tb) && tb.length > 0;
}

function tryParse(text: string): unknown {
	try {
		return parseJson(text);
	} catch {
		return undefined;
	}
}

function isList(kept: Kept): kept is readonly [Kept] {
	return Array.isArray(kept);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
