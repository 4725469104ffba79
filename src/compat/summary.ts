import type { Decision } from "./decision.ts";
import type { Ranking } from "./rank.ts";

/** What Nova shows an operator: the messages of the errors, the decisive one first, on one line. */
export function reasonText({ reasons }: Decision): string {
	const errors = reasons.filter(({ severity }) => severity === "error");
	return errors.map(({ message }) => message).join("; ");
}

/** So many devices and so many reasons are on a line; a host can have thousands of them. */
const MAX_SUMMED_UP = 8;

/** A decision on one line, for logs: verdict, id, mapping when there is one, the reasons with their codes, decisive ones first. */
export function summary({ id, verdict, allowed, mapping, reasons }: Decision): string {
	const pairs = Object.entries(mapping).map(([device, candidate]) => `${device} -> ${candidate}`);
	const told = reasons.map(
		({ code, severity, message }) => `${severity === "warning" ? "warning " : ""}${code}: ${message}`,
	);
	const words = [
		`${verdict === "unknown" ? `unknown (${allowed ? "allowed" : "refused"} by policy)` : verdict} [${id}]`,
		...(pairs.length > 0 ? [firstOf(pairs).join(", ")] : []),
		...firstOf(told),
	];
	return words.join("; ");
}

function firstOf(texts: readonly string[]): readonly string[] {
	if (texts.length <= MAX_SUMMED_UP) return texts;
	return [...texts.slice(0, MAX_SUMMED_UP), `(+${texts.length - MAX_SUMMED_UP} more)`];
}

/** A ranking on one line, for logs: how many hosts of each verdict, and why the first one is first. */
export function rankSummary({ verdicts, hosts: [first] }: Ranking): string {
	return [
		`best of ${hostCount(verdicts)}: ${countsText(verdicts)}`,
		...(first ? [`${first.host} first: ${summary(first)}`] : []),
	].join("; ");
}

/** `3 accept, 1 reject` */
export function countsText(verdicts: Ranking["verdicts"]): string {
	return Object.entries(verdicts)
		.map(([verdict, count]) => `${count} ${verdict}`)
		.join(", ");
}

export function hostCount(verdicts: Ranking["verdicts"]): number {
	return Object.values(verdicts).reduce((sum, count) => sum + count, 0);
}
