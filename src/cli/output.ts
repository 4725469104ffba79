import { stringify } from "yaml";
import type { Decision } from "../compat/decision.ts";
import { printable } from "../log/printable.ts";
import { parseJson, toJson } from "../messaging/json.ts";
import { UsageError } from "./exit-codes.ts";
import { inLines, table } from "./render/table.ts";

export interface OutputOptions {
	readonly format: string;
	readonly column?: readonly string[];
	readonly quiet?: boolean;
}

type Cell = string | number | boolean | null;

/** What a command has found. */
export interface Output {
	/** All of it, for programs: JSON and YAML. */
	readonly data: unknown;
	/** As a person reads it. */
	readonly text: () => string;
	/** Names are a contract. */
	readonly columns: readonly string[];
	/** Of a list a row for each item; of one thing its fields alone. */
	readonly rows: readonly (readonly Cell[])[];
	readonly kind: "list" | "one";
}

/** What is said of any decision. */
export const DECISION_COLUMNS: readonly string[] = ["verdict", "allowed", "id", "mapping", "codes", "reason"];

export function decisionCells({ verdict, allowed, id, mapping, reasons }: Decision): readonly Cell[] {
	const devices = Object.entries(mapping).map(([device, candidate]) => `${device} -> ${candidate}`);
	const codes = new Set(reasons.map(({ code }) => code));
	return [verdict, allowed, id, devices.join(", "), [...codes].join(","), reasons[0]?.message ?? null];
}

/** Prints it as cliff does (cliff/formatters), which OpenStack's clients are made of. Throws UsageError for a column that is not there. */
export function print(output: Output, { format, column, quiet = false }: OutputOptions): void {
	const chosen = column ? chosenOf(output, column) : output;
	if (!quiet) process.stdout.write(rendered(chosen, format, column !== undefined));
}

function chosenOf(output: Output, wanted: readonly string[]): Output {
	const places = wanted.map((name) => {
		const place = output.columns.indexOf(name.toLowerCase());
		if (place >= 0) return place;
		throw new UsageError(`no column ${JSON.stringify(name)}, expected ${output.columns.join(", ")}`);
	});
	const pick = <T>(cells: readonly T[]): readonly T[] => cells.filter((_, place) => places.includes(place));
	return { ...output, columns: pick(output.columns), rows: output.rows.map(pick) };
}

function rendered(output: Output, format: string, isChosen: boolean): string {
	const { columns, rows, kind, text } = output;
	if (format === "csv") return inLines([columns, ...rows].map((cells) => cells.map(csvCell).join(",")));
	if (format === "value") return inLines(kind === "one" ? rows.flat().map(plainCell) : rows.map(valueRow));
	const records = rows.map((cells) => Object.fromEntries(columns.map((name, place) => [name, cells[place]])));
	const data = isChosen ? (kind === "one" ? records[0] : records) : output.data;
	if (format === "json") return `${toJson(data, 2)}\n`;
	// What JSON leaves out, YAML leaves out.
	if (format === "yaml") return stringify(parseJson(toJson(data)), { lineWidth: 0 });
	if (!isChosen) return text();
	if (kind === "one") return inLines(table(columns.map((name, place) => [name, plainCell(rows[0]?.[place] ?? null)])));
	return inLines(table([columns.map((name) => name.toUpperCase()), ...rows.map((cells) => cells.map(plainCell))]));
}

const plainCell = (cell: Cell) => printable(cell === null ? "" : String(cell));
const valueRow = (cells: readonly Cell[]) => cells.map(plainCell).join(" ");

/** Quotes around all that is no number. */
function csvCell(cell: Cell): string {
	return typeof cell === "number" ? String(cell) : `"${plainCell(cell).replaceAll('"', '""')}"`;
}
