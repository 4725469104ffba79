import type { Comparison, DeviceExplanation, ExplainedDecision } from "../../compat/explain.ts";
import { overlayFile } from "../../compat/pair.ts";
import { REASON_CODES, type Reason } from "../../compat/reason.ts";
import { printable } from "../../log/printable.ts";
import { heading, paint, type RenderOptions } from "./decision.ts";
import { clip, idList, inLines, table } from "./table.ts";

/** A decision as a person reads it, device by device: where it lands or comes closest, what is wrong there, what to do. */
export function renderExplanation(decision: ExplainedDecision, options: RenderOptions): string {
	const { source_host, target_host, reasons, devices } = decision;
	// The others are about a pair, and stand with its device.
	const general = reasons.filter(({ rule, candidate }) => rule === "match" || candidate === undefined);
	const lines = [
		heading(decision, `${source_host} -> ${target_host}`, options),
		...table(
			general.map(({ severity, code, message }) => [severity, code, message]),
			"  ",
		),
		...devices.flatMap((device) => ["", ...renderDevice(device, decision, options)]),
	];
	return inLines(lines);
}

/** Beside errors the warnings of a pair are noise. */
function renderDevice(
	{ device, verdict, candidate, obligations, contest }: DeviceExplanation,
	{ comparisons, mapping }: ExplainedDecision,
	{ colour }: RenderOptions,
): readonly string[] {
	const own = comparisons.filter((comparison) => comparison.device === device);
	const shown = own.find((comparison) => comparison.candidate === candidate);
	const word = mapping[device] !== undefined ? "->" : verdict === "reject" ? "comes closest to" : "fits";
	const place = candidate === undefined ? "has nothing of its kind there" : `${word} ${candidate}`;
	const rivals = contest === undefined ? "" : ` (${wanted(contest.devices.length)}, ${contest.capacity} free)`;
	const others = own.filter((comparison) => comparison !== shown);
	return [
		`  ${paint(verdict, verdict, colour)}  ${printable(`${device} ${place}${rivals}`)}`,
		...reasonRows(shown?.reasons.filter(({ severity }) => verdict !== "reject" || severity === "error") ?? []),
		...declaredRow(shown),
		...obligations.map(({ message }) => `    to do first: ${printable(message)}`),
		...otherRows(others),
	];
}

/** What the operator has a rule for that was not asked. */
function declaredRow(comparison: Comparison | undefined): readonly string[] {
	if (comparison === undefined || comparison.declared.length === 0) return [];
	return [printable(`    judged by what the devices declare, not by the policy: ${comparison.declared.join(", ")}`)];
}

function wanted(devices: number): string {
	return devices === 1 ? "1 device wants it" : `${devices} devices want it`;
}

/** Of which two values do not tell whose it is, or what is wrong with it. */
const IN_WORDS: ReadonlySet<string> = new Set(["attribute.unreadable", "attribute.malformed", "rule.malformed"]);

/** Attribute by attribute, with both values; what has no attribute, or says more than they do, in its own words. */
function reasonRows(reasons: readonly Reason[]): readonly string[] {
	const told = reasons.filter(({ code }) => REASON_CODES[code] !== "obligation");
	const isCompared = ({ attribute, code }: Reason) => attribute !== undefined && !IN_WORDS.has(code);
	const rows = told
		.filter(isCompared)
		.map(({ severity, code, attribute, source, target, source_overlay, target_overlay }) => [
			severity,
			code,
			attribute ?? "",
			value(source, source_overlay),
			value(target, target_overlay),
		]);
	const header = ["", "", "ATTRIBUTE", "SOURCE HAS", "TARGET HAS"];
	return [
		...(rows.length > 0 ? table([header, ...rows], "    ") : []),
		...table(
			told.filter((one) => !isCompared(one)).map(({ severity, code, message }) => [severity, code, message]),
			"    ",
		),
	];
}

function value(text: string | undefined, overlay: string | undefined): string {
	if (text === undefined) return "-";
	const shown = text === "" ? '""' : clip(text);
	return overlay === undefined ? shown : `${shown} (overlay ${overlayFile(overlay)})`;
}

/** What else was compared, one line for all that failed alike. */
function otherRows(comparisons: readonly Comparison[]): readonly string[] {
	const alike = new Map<string, Comparison[]>();
	for (const comparison of comparisons) {
		const { verdict, reasons } = comparison;
		const codes = [...new Set(reasons.map(({ code }) => code))].join(", ");
		const key = codes === "" ? verdict : `${verdict} (${codes})`;
		alike.set(key, [...(alike.get(key) ?? []), comparison]);
	}
	return [...alike].map(([what, found]) => {
		return printable(`    others: ${idList(found.map(({ candidate }) => candidate))}: ${what}`);
	});
}
