import type { JournalEntry } from "../../journal/reader.ts";
import { localTime } from "../../log/time.ts";
import { Agreement } from "../../nova/agreement.ts";
import { clip, inLines, table } from "../render/table.ts";

/** Of checks in the shadow, those that `enforce` would have kept from Nova: what goes wrong in the same way is one group. */
export interface Report {
	readonly summary: string;
	readonly groups: readonly Group[];
}

interface Group {
	readonly count: number;
	/** Of the first reason. */
	readonly code: string;
	readonly source_host: string;
	readonly dest_host: string;
	/** The last one of the group. */
	readonly last: Pick<JournalEntry, "time"> & { readonly id: string; readonly message: string };
}

export function reportOf(entries: Iterable<JournalEntry>): Report {
	const agreement = new Agreement();
	const groups = new Map<string, Group>();
	for (const { time, request, decision, shadow } of entries) {
		if (!shadow) continue;
		agreement.add(decision, shadow.nova);
		if (shadow.exact) agreement.add(shadow.exact, shadow.nova, true);
		if (decision.allowed || shadow.nova !== "accepted") continue;
		const { source_host, dest_host } = request;
		const { code = "-", message = "-" } = decision.reasons[0] ?? {};
		const key = [code, source_host, dest_host].join(" ");
		const count = (groups.get(key)?.count ?? 0) + 1;
		groups.set(key, { count, code, source_host, dest_host, last: { time, id: decision.id, message } });
	}
	return { summary: agreement.summary(), groups: [...groups.values()].sort((a, b) => b.count - a.count) };
}

export function renderReport({ summary, groups }: Report): string {
	const header = ["COUNT", "FROM", "TO", "CODE", "LAST", "ID", "REASON"];
	const rows = groups.map(({ count, source_host, dest_host, code, last }) => [
		String(count),
		source_host,
		dest_host,
		code,
		localTime(Date.parse(last.time)),
		last.id,
		clip(last.message, 110),
	]);
	const found =
		groups.length === 0 ? [] : ["", "Nova accepted, and would not in mode enforce:", "", ...table([header, ...rows])];
	return inLines([summary, ...found]);
}
