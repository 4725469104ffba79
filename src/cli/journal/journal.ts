import type { JournalEntry } from "../../journal/reader.ts";
import { complain } from "../complain.ts";
import { UsageError } from "../exit-codes.ts";
import { DECISION_COLUMNS, decisionCells, type OutputOptions, print } from "../output.ts";
import { terminalColour } from "../render/decision.ts";
import { readJournals } from "./journals.ts";
import { renderEntries, renderEntry, renderHistory } from "./render.ts";
import { renderReport, reportOf } from "./render-report.ts";

interface JournalCommandOptions extends OutputOptions {
	readonly directory: readonly string[];
}

interface JournalFilter {
	/** Milliseconds since 1970. */
	readonly since?: number;
	/** Uuid, or how it begins. */
	readonly instance?: string;
	readonly host?: string;
	readonly verdict?: readonly string[];
}

const ENTRY_COLUMNS = ["time", "instance", "from", "to", "nova", ...DECISION_COLUMNS, "request_id"];

/** `novacompat journal list`: a decision on a line. */
export function journalList(options: JournalCommandOptions & JournalFilter): void {
	const entries = [...filtered(decisionsOf(options.directory), options)];
	print({ ...listOf(entries), text: () => renderEntries(entries, terminalColour(process.stdout)) }, options);
}

/** `novacompat journal report`: what a service in the shadow would have kept Nova from. */
export function journalReport(options: JournalCommandOptions & JournalFilter): void {
	const report = reportOf(filtered(decisionsOf(options.directory), options));
	const columns = ["count", "from", "to", "code", "last", "id", "reason"];
	const rows = report.groups.map(({ count, source_host, dest_host, code, last }) => [
		...[count, source_host, dest_host, code],
		...[last.time, last.id, last.message],
	]);
	print({ kind: "list", data: report, text: () => renderReport(report), columns, rows }, options);
}

/** `novacompat journal why`: what was decided about an instance, or since a time, and why, decision by decision. */
export function journalWhy(instance: string | undefined, options: JournalCommandOptions & JournalFilter): void {
	const { directory, since } = options;
	if (instance === undefined && since === undefined) {
		throw new UsageError("which decisions? expected an instance, or --since");
	}
	const entries = [...filtered(decisionsOf(directory), { ...options, ...(instance !== undefined && { instance }) })];
	if (entries.length === 0) {
		const about = instance === undefined ? "" : ` about instance ${instance}`;
		const from = since === undefined ? "" : ` since ${new Date(since).toISOString()}`;
		const none = `${directory.join(", ")}: no decision${about}${from}`;
		if (instance !== undefined) throw new UsageError(none);
		complain(none);
	}
	print({ ...listOf(entries), text: () => renderHistory(entries, terminalColour(process.stdout)) }, options);
}

/** `novacompat journal show`: one decision, with everything that was looked at. */
export function journalShow(id: string, options: JournalCommandOptions): void {
	const { entry, count } = findDecision(options.directory, id);
	const text = () => renderEntry(entry, count, terminalColour(process.stdout));
	print({ ...listOf([entry]), kind: "one", data: entry, text }, options);
}

function listOf(entries: readonly JournalEntry[]) {
	const rows = entries.map(({ time, request, request_id, shadow, decision }) => [
		...[time, request.instance_uuid, request.source_host, request.dest_host, shadow?.nova ?? null],
		...decisionCells(decision),
		request_id ?? null,
	]);
	return { kind: "list" as const, data: entries, columns: ENTRY_COLUMNS, rows };
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
	return readJournals(paths, "--directory", (text) => {
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
