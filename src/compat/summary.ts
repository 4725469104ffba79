import type { Decision } from "./decision.ts";
import type { Ranking } from "./rank.ts";

/** What Nova shows an operator: the messages of the errors, the decisive one first, on one line. */
export function reasonText({ reasons }: Decision): string {
	const errors = reasons.filter(({ severity }) => severity === "error");
	return errors.map(({ message }) => message).join("; ");
}

/** A decision on one line, for logs: verdict, id, mapping when there is one, every reason with its code. */
export function summary({ id, verdict, allowed, mapping, reasons }: Decision): string {
	const pairs = Object.entries(mapping).map(([device, candidate]) => `${device} -> ${candidate}`);
	const words = [
		`${verdict === "unknown" ? `unknown (${allowed ? "allowed" : "refused"} by policy)` : verdict} [${id}]`,
		...(pairs.length > 0 ? [pairs.join(", ")] : []),
		...reasons.map(({ code, severity, message }) => `${severity === "warning" ? "warning " : ""}${code}: ${message}`),
	];
	return words.join("; ");
}

/** A ranking on one line, for logs: how many hosts of each verdict, and why the first one is first. */
export function rankSummary({ verdicts, hosts: [first] }: Ranking): string {
	const all = Object.values(verdicts).reduce((sum, count) => sum + count, 0);
	return [`best of ${all}: ${countsText(verdicts)}`, ...(first ? [`${first.host} first: ${summary(first)}`] : [])].join(
		"; ",
	);
}

/** `3 accept, 1 reject` */
export function countsText(verdicts: Ranking["verdicts"]): string {
	return Object.entries(verdicts)
		.map(([verdict, count]) => `${count} ${verdict}`)
		.join(", ");
}
