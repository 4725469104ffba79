import { printable } from "../../log/printable.ts";

/** Columns two blanks apart, the last one as wide as it is; what hosts say is escaped. `paint` may colour a cell that is as wide as it will be. */
export function table(
	cells: readonly (readonly string[])[],
	indent = "",
	paint: (cell: string, row: number, column: number) => string = (cell) => cell,
): readonly string[] {
	const rows = cells.map((row) => row.map(printable));
	const columns = Math.max(0, ...rows.map((row) => row.length));
	const widths = Array.from({ length: columns }, (_, column) =>
		Math.max(...rows.map((row) => row[column]?.length ?? 0)),
	);
	return rows.map((row, number) => {
		const padded = row.map((cell, column) => paint(cell.padEnd(widths[column] ?? 0), number, column));
		return `${indent}${padded.join("  ")}`.trimEnd();
	});
}

/** Lines as one text, each with its end. */
export function inLines(lines: readonly string[]): string {
	return lines.map((line) => `${line}\n`).join("");
}

/** As much of a value as a column has room for. */
export function clip(text: string, room = 48): string {
	const shown = printable(text);
	return shown.length <= room ? shown : `${shown.slice(0, room - 3)}...`;
}

const MAX_IDS = 4;

/** The first of some ids, and how many more there are. */
export function idList(ids: readonly string[]): string {
	const more = ids.length > MAX_IDS ? `, and ${ids.length - MAX_IDS} more` : "";
	return ids.slice(0, MAX_IDS).join(", ") + more;
}
