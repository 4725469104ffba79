import { DEVICE_CLASSES } from "./classes/index.ts";

/** Whose list of accepted values decides (spec 2.2): the target's, the source's, or both. */
export const DIRECTIONS = ["target-accepts", "source-declares", "both"] as const;
type Direction = (typeof DIRECTIONS)[number];

/** How an attribute is judged that no declaration of a device covers; one file each in `rules/`. */
export type RuleKind =
	| "equal"
	| "version"
	| "one_of"
	| "none_of"
	| "superset"
	| "mask_superset"
	| "mask_equal"
	| "in_range"
	| "ignore"
	| "info";

/** One line of the policy. What a kind needs beyond the first two keys is said here, and checked by policy/rule.ts. */
export interface Rule {
	readonly attribute: string;
	readonly kind: RuleKind;
	/** Default `error`; `warning` makes every finding of the rule a warning, `off` keeps the attribute from being judged at all. */
	readonly severity?: "error" | "warning" | "off" | undefined;
	/** `version`: 2.6.1 (default), or the major version only. `superset`: at least the same items (default), or exactly them. */
	readonly compare?: "stream" | "major" | "superset" | "exact" | undefined;
	/**
	 * `none_of`: what neither side may have. `one_of`: what both sides must have one of; or else, in `lists`, the names of the
	 * target's attributes that list what it accepts.
	 */
	readonly values?: readonly string[] | undefined;
	readonly lists?: readonly string[] | undefined;
	/** `one_of` where none of these lists is there: the target's attribute that lists what it can be set to first. */
	readonly settable?: string | undefined;
	/** `superset`, `mask_superset`: the attribute of the target, where it is called otherwise than the source's. */
	readonly target?: string | undefined;
	/** `in_range`: attributes of the target that hold the bounds: one or both ends, or `min-max` in one text. */
	readonly min?: string | undefined;
	readonly max?: string | undefined;
	readonly range?: string | undefined;
	/** Where the rule comes from, and when that was looked at. */
	readonly source?: string | undefined;
	readonly date?: string | undefined;
}

/** Devices that are judged alike. The first class that matches a device of the source is its class. */
export interface DeviceClass {
	readonly name: string;
	/** Every attribute named here must match one of its patterns, in which `*` is any text; `kind` is the kind of the device. */
	readonly match: Readonly<Record<string, readonly string[]>>;
	/** `known`: the driver is known to migrate, so that a device of the class needs no declaration of its own. */
	readonly migration?: "known" | undefined;
	/** The device cannot migrate unless it declares otherwise; the message says why, and what to do. */
	readonly refuse?: { readonly message: string } | undefined;
	readonly source?: string | undefined;
	readonly date?: string | undefined;
	/** What unknown means for devices of this class; asked before the policy's own. */
	readonly unknown?: UnknownPolicy | undefined;
	/** A rule here replaces the general ones for its attribute. */
	readonly rules: readonly Rule[];
}

/**
 * Whether a migration may go on, by what is unknown: a reason code, a family (`agent.*`) or everything (`*`). `accept_stale`: when
 * an agent cannot be asked, the last good snapshot of its host decides; where there is none, that is `reject`.
 */
export type UnknownPolicy = Readonly<Record<string, "reject" | "accept" | "accept_stale">>;

/** Break-glass: for a limited time, errors within the scope are warnings. Specification reliability 1.0.3. */
export interface Override {
	readonly author: string;
	readonly reason: string;
	/** ISO times; at most 24 hours apart. */
	readonly created: string;
	readonly expires: string;
	/** All of them must fit; `code` is a reason code or a family (`version.*`). */
	readonly scope: {
		readonly source_host?: string | undefined;
		readonly target_host?: string | undefined;
		readonly device?: string | undefined;
		readonly code?: string | undefined;
	};
}

/** What the operator decides; plain data, read from YAML by policy/. Names are a contract. */
export interface Policy {
	readonly direction: Direction;
	/** A source newer than the target, although the target's open range accepts it (E4). */
	readonly newer_source: "warn" | "reject";
	/** Different mdev types, although the target's own list accepts the source's type. */
	readonly cross_type: "warn" | "never";
	/** Format G's `compatible_type`, which the proposal tells management to ignore for now; 26 August used it. */
	readonly compatible_type: "ignore" | "allow";
	/** Format G's `compatible_<x>`: the target's list has all of the source's, or both are the same ("1:1"). */
	readonly compatible_lists: "superset" | "exact";
	/** Attributes that neither a declaration nor a rule names. */
	readonly other_attributes: "warn" | "equal" | "ignore";
	readonly unknown: UnknownPolicy;
	readonly rules: readonly Rule[];
	readonly classes: readonly DeviceClass[];
	/** The engine has no clock and applies all of them: whoever asks it takes the policy by `inForce`, as policy/ does. */
	readonly overrides: readonly Override[];
}

/** What is built in; config/policy.yaml is the same as a file, and a test compares the two. */
export const DEFAULT_POLICY: Policy = {
	direction: "target-accepts",
	newer_source: "warn",
	cross_type: "warn",
	compatible_type: "ignore",
	compatible_lists: "superset",
	other_attributes: "warn",
	unknown: { "*": "reject" },
	rules: [
		{ attribute: "device_api", kind: "equal", source: "openstack-discuss, Yan Zhao", date: "2020-09-09" },
		{ attribute: "vendor", kind: "equal", source: "openstack-discuss, Yan Zhao", date: "2020-07-14" },
		{ attribute: "device", kind: "equal", source: "openstack-discuss, Yan Zhao", date: "2020-07-14" },
		{ attribute: "mdev_type", kind: "equal", source: "openstack-discuss, Cornelia Huck", date: "2020-08-04" },
		// Whatever the driver: what the kernel tells goes before what an overlay declares.
		{
			attribute: "vfio_migration",
			kind: "none_of",
			values: ["none"],
			source: "drivers/vfio/debugfs.c",
			date: "2026-11",
		},
		// Hosts are upgraded one after the other: what the kernel's release means for a device is for its class to say.
		{ attribute: "kernel_release", kind: "ignore", source: "uname -r of the host", date: "2026-11" },
	],
	classes: DEVICE_CLASSES,
	overrides: [],
};
