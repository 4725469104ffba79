import { printable } from "../../log/printable.ts";
import { toJson } from "../../messaging/json.ts";
import { inLines } from "../render/table.ts";
import type { Replayed } from "./send-again.ts";

/** Requests that got something else than then, each with every difference; and what those got that have no recorded reply. */
export function renderReplay(replayed: readonly Replayed[]): string {
	const lines = replayed.flatMap((one) => {
		const { differences, now } = one;
		if (differences === undefined) return [`new      ${titleOf(one)}`, `  ${toJson(now)}`];
		if (differences.length === 0) return [];
		const rows = differences.flatMap(({ path, recorded, now }) => [
			`  ${path}`,
			...(recorded === undefined ? [] : [`    - ${recorded}`]),
			...(now === undefined ? [] : [`    + ${now}`]),
		]);
		return [`differs  ${titleOf(one)}`, ...rows, ...whyRefused(one)];
	});
	return inLines(lines.map(printable));
}

/** Of a nova-compute's answer only whether it refused is compared: without our reasons nobody would know what to do about it. */
function whyRefused({ differences = [], now }: Replayed): readonly string[] {
	const { message } = Object(now["failure"]) as Record<string, unknown>;
	const isBare = differences.some(({ path }) => path === "refused");
	return isBare && typeof message === "string" ? [`  ${message}`] : [];
}

/** How many of each, and why that says little. `others`: calls that were for other services. */
export function renderSummary(replayed: readonly Replayed[], others: number, problems: readonly string[]): string {
	const different = replayed.filter(({ differences = [] }) => differences.length > 0).length;
	const unanswered = replayed.filter(({ differences }) => differences === undefined).length;
	const same = replayed.length - different - unanswered;
	const more = unanswered > 0 ? `, ${unanswered} without a recorded reply` : "";
	const summary = `${replayed.length} replayed: ${same} as recorded, ${different} different${more}${others > 0 ? `, ${others} for other services` : ""}`;
	return inLines([summary, ...problems]);
}

/** Where it went, which method, and the request id by which it is found in logs. */
export function titleOf({ conversation }: Replayed): string {
	const { routing_key, message } = conversation.request;
	return printable(`${String(message["method"])} to ${routing_key} ${String(message["_context_request_id"] ?? "-")}`);
}
