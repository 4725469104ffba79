/** Beginning of every text that a message carries and nobody has a use for. */
export const CANARY = "canary-4c1d-";

/** What the service reads of a message, and may tell to whoever may know of the migration: paths, without "nova_object.data" and places in lists. */
const KEPT: readonly RegExp[] = [
	/^(method|version|namespace)$/,
	/^_context_((global_)?request|user|project)_id$/,
	/(^|\.)nova_object\.(name|version)$/,
	/^args\.dest$/,
	/^args\.migration\.(source|dest)_compute$/,
	/^args\.instance\.(uuid|host)$/,
	/^args\.instance\.flavor\.extra_specs\.(resources[\w-]*:[0-9A-Z_]+|pci_passthrough:alias)$/,
	/^args\.instance\.pci_requests\.requests\.alias_name$/,
	/^args\.instance\.info_cache\.network_info\.(id|vnic_type|profile\.pci_slot)$/,
	/^args\.migrate_data\.(target_mdevs|pci_dev_map_src_dst)\./,
	/^args\.request\.(instance_uuid|source_host|dest_hosts?)$/,
];
/** Objects in which a name that is not known belongs to the answer, and one whose names are devices. */
const AS_IT_IS = /^args(\.migrate_data\.(target_mdevs|pci_dev_map_src_dst))?$/;
/** JSON in a text. */
const IN_JSON = /^args\.instance\.info_cache\.network_info$/;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The same message with a canary of its own in every text that is not read, and in every object a field that no release of Nova
 * has. Arguments get none: an unknown one is an error that names it.
 */
export function stuffed(message: Fields): Fields {
	let count = 0;
	const canary = (name: string) => `${CANARY}${count++}-${name}`;
	const stuff = (value: unknown, path: string): unknown => {
		if (typeof value === "string" && IN_JSON.test(path)) return JSON.stringify(stuff(JSON.parse(value), path));
		const name = path.slice(path.lastIndexOf(".") + 1);
		if (typeof value === "string") return KEPT.some((kept) => kept.test(path)) ? value : canary(name);
		if (Array.isArray(value)) return value.map((item) => stuff(item, path));
		if (typeof value !== "object" || value === null) return value;
		const at = (key: string) => (key === "nova_object.data" ? path : [path, key].filter(Boolean).join("."));
		const fields = Object.entries(value).map(([key, item]) => [key, stuff(item, at(key))]);
		const more = AS_IT_IS.test(path)
			? []
			: [
					[canary("key"), canary("value")],
					["admin_password", canary("password")],
				];
		return Object.fromEntries([...fields, ...more]);
	};
	const secrets = {
		_context_auth_token: canary("token"),
		_context_service_catalog: [{ url: canary("catalog") }],
		_context_trace_info: { hmac_key: canary("hmac") },
	};
	return { ...(stuff(message, "") as Fields), ...secrets };
}
