/** Whose list of accepted values decides (spec 2.2): the target's, the source's, or both. */
export const DIRECTIONS = ["target-accepts", "source-declares", "both"] as const;
type Direction = (typeof DIRECTIONS)[number];

/** One line of the policy: how an attribute is judged that no declaration of a device covers. */
interface Rule {
	readonly attribute: string;
	readonly kind: RuleKind;
}
export const RULE_KINDS = ["equal", "ignore"] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

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
	/** Whether a migration may go on when the verdict is unknown. */
	readonly unknown: "reject" | "accept";
	readonly rules: readonly Rule[];
}

export const DEFAULT_POLICY: Policy = {
	direction: "target-accepts",
	newer_source: "warn",
	cross_type: "warn",
	compatible_type: "ignore",
	compatible_lists: "superset",
	other_attributes: "warn",
	unknown: "reject",
	rules: [
		{ attribute: "device_api", kind: "equal" },
		{ attribute: "vendor", kind: "equal" },
		{ attribute: "device", kind: "equal" },
		{ attribute: "mdev_type", kind: "equal" },
	],
};
