import type { Decision } from "./decide.ts";

/** What Nova shows an operator: the messages of the errors, the decisive one first, on one line. */
export function reasonText({ reasons }: Decision): string {
	const errors = reasons.filter(({ severity }) => severity === "error");
	return errors.map(({ message }) => message).join("; ");
}

/** A decision on one line, for logs: verdict, mapping when there is one, every reason with its code. */
export function summary({ verdict, allowed, mapping, reasons }: Decision): string {
	const pairs = Object.entries(mapping).map(([device, candidate]) => `${device} -> ${candidate}`);
	const words = [
		verdict === "unknown" ? `unknown (${allowed ? "allowed" : "refused"} by policy)` : verdict,
		...(pairs.length > 0 ? [pairs.join(", ")] : []),
		...reasons.map(({ code, severity, message }) => `${severity === "warning" ? "warning " : ""}${code}: ${message}`),
	];
	return words.join("; ");
}
