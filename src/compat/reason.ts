/**
 * Every reason that a decision can give. The codes are a public contract: `<subject>.<what is wrong>`, never renamed,
 * never used again for something else. `incompatible` and `unknown` are errors, `obligation` (what must be provisioned on the
 * target first) and `note` are warnings; a policy may turn one into the other, the family stays. `config/README.md` says for each what it means and how to mend it.
 */
export const REASON_CODES = {
	"device_api.mismatch": "incompatible",
	"type.mismatch": "incompatible",
	"type.cross_type": "note",
	"version.major_mismatch": "incompatible",
	"version.minor_downgrade": "incompatible",
	"version.not_in_range": "incompatible",
	"version.unparseable": "incompatible",
	"version.source_newer": "note",
	"version.bugfix_downgrade": "note",
	"version.range_spans_majors": "note",
	"attribute.differs": "incompatible",
	"attribute.not_in_list": "incompatible",
	"attribute.refused": "incompatible",
	"attribute.missing_source": "incompatible",
	"attribute.missing_target": "incompatible",
	"attribute.only_on_target": "note",
	"attribute.not_covered": "incompatible",
	"attribute.out_of_range": "incompatible",
	"attribute.malformed": "incompatible",
	"attribute.info": "note",
	"attribute.unreadable": "unknown",
	"block.none": "incompatible",
	"set.not_superset": "incompatible",
	"mask.not_superset": "incompatible",
	"opaque.differs": "unknown",
	"dynamic.set": "obligation",
	"dynamic.not_settable": "incompatible",
	"rule.malformed": "incompatible",
	"direction.assumed": "note",
	"declaration.none": "unknown",
	"class.refused": "incompatible",
	"override.used": "note",
	"candidate.none": "incompatible",
	"candidate.mixed": "note",
	"capacity.exhausted": "incompatible",
	"device.none": "note",
	"device.not_found": "unknown",
	"device.unaccounted": "unknown",
	"instance.not_found": "unknown",
	"port.replugged": "note",
	"request.invalid": "unknown",
	"request.rate_limited": "unknown",
	"agent.unconfigured": "unknown",
	"agent.unreachable": "unknown",
	"agent.timeout": "unknown",
	"agent.unavailable": "unknown",
	"agent.bad_reply": "unknown",
	"agent.address": "unknown",
	"agent.tls": "unknown",
	"agent.identity": "unknown",
	"snapshot.stale": "unknown",
	"snapshot.stale_used": "note",
} as const satisfies Record<string, "incompatible" | "unknown" | "obligation" | "note">;

export type ReasonCode = keyof typeof REASON_CODES;
export type Severity = "error" | "warning";

export interface Reason {
	readonly code: ReasonCode;
	readonly severity: Severity;
	/** One sentence for a person: what is needed and what the host has. */
	readonly message: string;
	readonly device?: string;
	readonly candidate?: string;
	readonly attribute?: string;
	/** The value on the source, and the value or the list of accepted values on the target. */
	readonly source?: string;
	readonly target?: string;
	/** The overlay that gave the source, or the target, what the reason is about: its file, source and date. */
	readonly source_overlay?: string;
	readonly target_overlay?: string;
	/** The class of the device in the policy. */
	readonly device_class?: string;
	/** The format, policy rule or step that gave the reason. */
	readonly rule: string;
}

/** A reason with the severity of its family, unless `details` names another one. */
export function reason(
	code: ReasonCode,
	rule: string,
	message: string,
	details: Omit<Partial<Reason>, "code" | "rule" | "message"> = {},
): Reason {
	const family = REASON_CODES[code];
	const severity = family === "note" || family === "obligation" ? "warning" : "error";
	return { code, severity, message, rule, ...details };
}

export type Verdict = "accept" | "conditional" | "reject" | "unknown";

/** What the reasons of one comparison come to: incompatible outweighs unknown, unknown an obligation, that warnings. */
export function outcome(reasons: readonly Reason[]): Verdict {
	const errors = reasons.filter(({ severity }) => severity === "error");
	if (errors.length === 0)
		return reasons.some(({ code }) => REASON_CODES[code] === "obligation") ? "conditional" : "accept";
	return errors.every(({ code }) => REASON_CODES[code] === "unknown") ? "unknown" : "reject";
}

/** Cornelia Huck's order of checks (4 August 2020): what the device is, then its versions, then the rest by name. */
const ATTRIBUTE_ORDER = ["device_api", "vendor", "device", "mdev_type", "software_version", "interface_version"];

/** Beside an incompatibility, what is unknown decides nothing. */
function decisiveRank({ code, severity }: Reason): number {
	return severity === "error" && REASON_CODES[code] === "unknown" ? 1 : 0;
}

function attributeRank({ attribute }: Reason): number {
	const rank = ATTRIBUTE_ORDER.indexOf(attribute ?? "");
	return rank < 0 ? ATTRIBUTE_ORDER.length : rank;
}

function compareText(a = "", b = ""): number {
	return a < b ? -1 : a > b ? 1 : 0;
}

/** Errors first, of these the decisive ones; then by device, then in the order of checks. The order depends on nothing else. */
export function ranked(reasons: readonly Reason[]): readonly Reason[] {
	return [...reasons].sort(
		(a, b) =>
			compareText(a.severity, b.severity) ||
			decisiveRank(a) - decisiveRank(b) ||
			compareText(a.device, b.device) ||
			attributeRank(a) - attributeRank(b) ||
			compareText(a.attribute, b.attribute) ||
			compareText(a.code, b.code) ||
			compareText(a.candidate, b.candidate),
	);
}
