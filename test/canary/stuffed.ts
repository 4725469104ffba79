/** Beginning of every text that a message carries and nobody has a use for. */
export const CANARY = "canary-4c1d-";

/** What the service reads of a message, by the name of the field; it may be told to whoever may know of the migration. */
const KEPT =
	/^(method|version|namespace|uuid|instance_uuid|host|dest|source_host|dest_hosts?|source_compute|dest_compute|name|alias_name|pci_slot|vnic_type|id|_context_((global_)?request|user|project)_id|nova_object\..*|hw:.*|resources.*|trait.*|pci_passthrough:alias)$/;
const KEPT_MAPS = /^(target_mdevs|pci_dev_map_src_dst)$/;
/** JSON in a text. */
const IN_JSON = /^(network_info)$/;

type Fields = Readonly<Record<string, unknown>>;

/**
 * The same message with a canary of its own in every text that is not read, and in every object a field that no release of Nova
 * has. Arguments get none: an unknown one is an error that names it.
 */
export function stuffed(message: Fields): Fields {
	let count = 0;
	const canary = (name: string) => `${CANARY}${count++}-${name}`;
	const stuff = (value: unknown, name: string): unknown => {
		if (KEPT_MAPS.test(name)) return value;
		if (typeof value === "string" && IN_JSON.test(name)) return JSON.stringify(stuff(JSON.parse(value), ""));
		if (typeof value === "string") return KEPT.test(name) ? value : canary(name);
		if (Array.isArray(value)) return value.map((item) => stuff(item, name));
		if (typeof value !== "object" || value === null) return value;
		const fields = Object.entries(value).map(([key, item]) => [key, stuff(item, key)]);
		const more =
			name === "args"
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
