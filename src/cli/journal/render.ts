import { canonicalJson } from "../../compat/digest.ts";
import { explain } from "../../compat/explain.ts";
import { summary } from "../../compat/summary.ts";
import { CannotBeMadeAgain } from "../../journal/cannot-be-made-again.ts";
import type { JournalEntry } from "../../journal/reader.ts";
import { localTime } from "../../log/time.ts";
import { type Asked, type Basis, checkAgain, questionOf, type Shadowed } from "../../precheck.ts";
import { SnapshotError } from "../../snapshot/source.ts";
import { counted } from "../counting.ts";
import { leadReason, paint, type RenderOptions, renderDecision } from "../render/decision.ts";
import { renderExplanation } from "../render/explanation.ts";
import { inLines, table } from "../render/table.ts";

/** A decision on a line, with the first of its reasons. */
export function renderEntries(entries: readonly JournalEntry[], { colour }: RenderOptions): string {
	const nova = entries.some(({ shadow }) => shadow) ? ["NOVA"] : [];
	const header = ["TIME", "ID", "INSTANCE", "FROM", "TO", ...nova, "VERDICT", "REASON"];
	const rows = entries.map(({ time, request, decision, shadow }) => [
		localTime(Date.parse(time)),
		decision.id,
		request.instance_uuid,
		request.source_host,
		request.dest_host,
		...nova.map(() => shadow?.nova ?? "asks us"),
		decision.verdict,
		leadReason(decision.reasons),
	]);
	const lines = table([header, ...rows], "", (cell, row, column) => {
		const entry = entries[row - 1];
		return entry && header[column] === "VERDICT" ? paint(entry.decision.verdict, cell, colour) : cell;
	});
	return inLines(lines);
}

/** Decision by decision, every reason. */
export function renderHistory(entries: readonly JournalEntry[], options: RenderOptions): string {
	return entries.map((entry) => `${momentOf(entry)}\n${decisionOf(entry, options)}`).join("\n");
}

/** When it was decided, about which instance, and by which request it is found in Nova's logs. */
function momentOf({ time, request: { instance_uuid = "-" }, request_id }: JournalEntry): string {
	return [localTime(Date.parse(time)), `instance ${instance_uuid}`, ...(request_id ? [request_id] : [])].join("  ");
}

/** One decision with all that is known of it. `count`: how many have its id. */
export function renderEntry(entry: JournalEntry, count: number, options: RenderOptions): string {
	const { time, place, request_id, global_request_id, request, duration_ms, unchecked, shadow } = entry;
	const rows = [
		["time", `${localTime(Date.parse(time))}${count > 1 ? `, the last of ${count}` : ""}`],
		["instance", request.instance_uuid],
		["request", [request_id, global_request_id].filter((id) => id !== undefined).join(", ") || "-"],
		...(unchecked ? [] : [["took", `${duration_ms} ms`]]),
		...(shadow ? shadowRows(shadow) : []),
		...basisRows(entry),
		["journal", place],
	];
	return `${inLines(table(rows))}\n${explanationOf(entry, options)}`;
}

function shadowRows({ cell, nova, exact }: Shadowed): readonly (readonly string[])[] {
	const chosen = exact ? [["chosen", `with the devices that Nova chose: ${summary(exact)}`]] : [];
	return [["shadow", `${cell}, Nova: ${nova}`], ...chosen];
}

function basisRows({ basis, policy }: JournalEntry): readonly (readonly string[])[] {
	const made = orWhyNot(basis);
	if (typeof made === "string") return [["made of", made]];
	return [
		["source", attemptText(made.source)],
		["target", attemptText(made.target)],
		["policy", policy],
	];
}

function attemptText(attempt: Asked): string {
	if (attempt === "not asked") return attempt;
	if (attempt instanceof SnapshotError) {
		const { code, message, stale } = attempt;
		return `${code}: ${message}${stale ? `; ${attemptText(stale.snapshot)}, ${stale.age.toFixed(0)} s old` : ""}`;
	}
	const { host, boot_id = "-", generation = "-", devices } = attempt;
	return `${host}, boot ${boot_id}, generation ${generation}, ${counted(devices.length, "device")}`;
}

/** At length where devices were compared, and the engine still says the same. */
function explanationOf(entry: JournalEntry, options: RenderOptions): string {
	const basis = orWhyNot(entry.basis);
	if (typeof basis === "string") return decisionOf(entry, options);
	const { snapshots, ...again } = checkAgain(entry.request, basis);
	if (canonicalJson(again) !== canonicalJson(entry.decision)) {
		return `${decisionOf(entry, options)}\nThis version of novacompat decides otherwise:\n\n${title(again, entry, options)}`;
	}
	const question = questionOf(entry.request, basis);
	return question ? renderExplanation({ ...explain(question), ...again }, options) : decisionOf(entry, options);
}

function decisionOf(entry: JournalEntry, options: RenderOptions): string {
	return title(entry.decision, entry, options);
}

function title(decision: JournalEntry["decision"], { request }: JournalEntry, options: RenderOptions): string {
	return renderDecision(decision, `${request.source_host} -> ${request.dest_host}`, options);
}

function orWhyNot(basis: () => Basis): Basis | string {
	try {
		return basis();
	} catch (error) {
		if (error instanceof CannotBeMadeAgain) return error.message;
		throw error;
	}
}
