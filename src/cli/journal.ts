import { type JournalEntry, readJournal } from "../journal/reader.ts";
import { complain } from "./complain.ts";
import { UsageError } from "./exit-codes.ts";
import { terminalColour } from "./render.ts";
import { renderEntries, renderEntry, renderHistory } from "./render-journal.ts";
import { renderReport, reportOf } from "./render-report.ts";

interface JournalCommandOptions {
	readonly directory: readonly string[];
	readonly format: string;
}

interface JournalFilter {
	/** Milliseconds since 1970. */
	readonly since?: number;
	/** Uuid, or how it begins. */
	readonly instance?: string;
	readonly host?: string;
	readonly verdict?: readonly string[];
}

/** `novacompat journal list`: a decision on a line. */
export function journalList({ directory, format, ...filter }: JournalCommandOptions & JournalFilter): void {
	const entries = filtered(decisionsOf(directory), filter);
	print(format === "json" ? json([...entries]) : renderEntries([...entries], terminalColour(process.stdout)));
}

/** `novacompat journal report`: what a service in the shadow would have kept Nova from. */
export function journalReport({ directory, format, ...filter }: JournalCommandOptions & JournalFilter): void {
	const report = reportOf(filtered(decisionsOf(directory), filter));
	print(format === "json" ? json(report) : renderReport(report));
}

/** `novacompat journal why`: what was decided about an instance and why, decision by decision. */
export function journalWhy(
	instance: string,
	{ directory, format, since }: JournalCommandOptions & JournalFilter,
): void {
	const entries = [...filtered(decisionsOf(directory), { instance, ...(since !== undefined && { since }) })];
	if (entries.length === 0) throw new UsageError(`${directory.join(", ")}: no decision about instance ${instance}`);
	print(format === "json" ? json(entries) : renderHistory(entries, terminalColour(process.stdout)));
}

/** `novacompat journal show`: one decision, with everything that was looked at. */
export function journalShow(id: string, { directory, format }: JournalCommandOptions): void {
	const { entry, count } = findDecision(directory, id);
	print(format === "json" ? json(entry) : renderEntry(entry, count, terminalColour(process.stdout)));
}

/** The last decision of that id or request id (or one that begins so), and how many there are. */
export function findDecision(paths: readonly string[], id: string): { entry: JournalEntry; count: number } {
	let [entry, count]: [JournalEntry | undefined, number] = [undefined, 0];
	for (const one of decisionsOf(paths)) {
		if (!one.decision.id.startsWith(id) && one.request_id !== id) continue;
		[entry, count] = [one, count + 1];
	}
	if (!entry) throw new UsageError(`${paths.join(", ")}: no decision with id or request id ${JSON.stringify(id)}`);
	return { entry, count };
}

/** What is damaged is told on standard error; the exit code is then 1. */
function decisionsOf(paths: readonly string[]): Generator<JournalEntry, void, undefined> {
	return readJournal(paths, (text) => {
		complain(text);
		process.exitCode = 1;
	});
}

function* filtered(entries: Iterable<JournalEntry>, { since = 0, instance = "", host, verdict }: JournalFilter) {
	for (const entry of entries) {
		const { instance_uuid, source_host, dest_host } = entry.request;
		if (Date.parse(entry.time) < since || !instance_uuid.startsWith(instance)) continue;
		if (host !== undefined && host !== source_host && host !== dest_host) continue;
		if (verdict === undefined || verdict.includes(entry.decision.verdict)) yield entry;
	}
}

function json(value: unknown): string {
	return `${JSON.stringify(value, null, 2)}\n`;
}

function print(text: string): void {
	process.stdout.write(text);
}
