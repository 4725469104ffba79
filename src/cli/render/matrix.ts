import type { Matrix, MatrixCell, MatrixClass } from "../../compat/matrix.ts";
import { printable } from "../../log/printable.ts";
import { inLines, table } from "./table.ts";

/** What a cell can be, as one letter, as a word, and as a class of the page's style sheet. */
export const CELLS = {
	accept: { letter: "A", word: "accept" },
	warnings: { letter: "W", word: "accept with warnings" },
	conditional: { letter: "C", word: "conditional (provision first)" },
	unknown: { letter: "?", word: "unknown" },
	reject: { letter: "R", word: "reject" },
} as const;

export type CellKind = keyof typeof CELLS;

export function kindOf({ verdict, warnings }: MatrixCell): CellKind {
	return verdict === "accept" && warnings > 0 ? "warnings" : verdict;
}

/** A grid of letters per device type, rows from, columns to; below it every reason code once, with the pairs that have it. */
export function renderMatrix({ hosts, classes }: Matrix): string {
	const legend = Object.values(CELLS).map(({ letter, word }) => `${letter} ${word}`);
	const keys = hosts.map((host, index) => `${index + 1} ${printable(host)}`);
	const lines = [...wrap(keys), legend.join(" · "), ...classes.flatMap((found) => ["", ...renderClass(found, hosts)])];
	return inLines(lines);
}

function renderClass({ device_type, rows }: MatrixClass, hosts: readonly string[]): readonly string[] {
	const numbers = new Map(hosts.map((host, index) => [host, `${index + 1}`]));
	const header = ["", "from \\ to", ...numbers.values()];
	const letters = rows.map(({ source_host, cells }) => {
		const byTarget = new Map(cells.map((cell) => [cell.target_host, CELLS[kindOf(cell)].letter]));
		return [numbers.get(source_host) ?? "", source_host, ...hosts.map((host) => byTarget.get(host) ?? "-")];
	});
	const reasons = reasonLines(rows.flatMap(({ cells }) => cells));
	return [printable(device_type), ...table([header, ...letters], "  "), ...reasons];
}

function wrap(words: readonly string[]): readonly string[] {
	const lines: string[] = [];
	for (const word of words) {
		const longer = `${lines.at(-1) ?? ""} · ${word}`;
		if (lines.length === 0 || longer.length > 100) lines.push(word);
		else lines[lines.length - 1] = longer;
	}
	return lines;
}

/** The first pair of each verdict and code tells for all of them. */
function reasonLines(cells: readonly MatrixCell[]): readonly string[] {
	const alike = new Map<string, MatrixCell[]>();
	for (const cell of cells) {
		if (cell.code === undefined) continue;
		const key = `${CELLS[kindOf(cell)].letter} ${cell.code}`;
		alike.set(key, [...(alike.get(key) ?? []), cell]);
	}
	const rows = [...alike].map(([key, [first, ...others]]) => {
		const pair = first ? `${first.source_host} -> ${first.target_host}` : "";
		return [key, others.length > 0 ? `${pair} and ${others.length} more` : pair, first?.message ?? ""];
	});
	return table(rows, "  ");
}
