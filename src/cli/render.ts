import { styleText } from "node:util";
import type { Comparison, Decision, ExplainedDecision } from "../compat/decide.ts";
import { outcome, type Reason, type Verdict } from "../compat/reason.ts";
import { printable } from "../log.ts";

const COLOURS = { accept: "green", conditional: "yellow", unknown: "yellow", reject: "red" } as const;

export interface RenderOptions {
	readonly colour: boolean;
}

/** Colour only for a person at a terminal who has not said no (no-color.org). */
export function terminalColour(stream: NodeJS.WriteStream): RenderOptions {
	return { colour: stream.isTTY === true && stream.hasColors() };
}

/** A decision as a person reads it: the verdict, who lands where, every reason. */
export function renderDecision(decision: Decision, title: string, { colour }: RenderOptions): string {
	const { verdict, allowed, mapping, reasons } = decision;
	const policy = verdict === "unknown" ? (allowed ? " (allowed by policy)" : " (refused by policy)") : "";
	const lines = [
		`${paint(verdict, verdict.toUpperCase(), colour)}${policy}  ${printable(title)}`,
		...Object.entries(mapping).map(([device, candidate]) => printable(`  ${device} -> ${candidate}`)),
		...table(reasons.map(({ severity, code, message }) => [`  ${severity}`, code, message])),
	];
	return lines.map((line) => `${line}\n`).join("");
}

/** The same with every pair that was compared. */
export function renderExplanation(decision: ExplainedDecision, title: string, options: RenderOptions): string {
	const pairs = decision.comparisons.map((comparison) => {
		const result = outcome(comparison.reasons);
		const codes = [...new Set(comparison.reasons.map(codeOf))].join(", ");
		return [`  ${comparison.device}`, comparison.candidate, result, codes || "-"];
	});
	const header = ["  DEVICE", "CANDIDATE", "RESULT", "REASONS"];
	const rows = pairs.length > 0 ? ["", ...table([header, ...pairs])] : [];
	return renderDecision(decision, title, options) + rows.map((row) => `${row}\n`).join("");
}

function codeOf({ code }: Reason): Comparison["reasons"][number]["code"] {
	return code;
}

function paint(verdict: Verdict, text: string, colour: boolean): string {
	return colour ? styleText(COLOURS[verdict], text, { validateStream: false }) : text;
}

/** Columns two blanks apart; the last one is as wide as it is. What hosts say is escaped. */
function table(cells: readonly (readonly string[])[]): readonly string[] {
	const rows = cells.map((row) => row.map(printable));
	const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
	return rows.map((row) =>
		row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join("  "),
	);
}
