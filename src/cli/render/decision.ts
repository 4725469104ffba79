import { styleText } from "node:util";
import type { Decision } from "../../compat/decision.ts";
import type { Verdict } from "../../compat/reason.ts";
import { printable } from "../../log/printable.ts";
import { clip, inLines, table } from "./table.ts";

const COLOURS = { accept: "green", conditional: "yellow", unknown: "yellow", reject: "red" } as const;

export interface RenderOptions {
	readonly colour: boolean;
}

/** Colour only for a person at a terminal who has not said no (no-color.org). */
export function terminalColour(stream: NodeJS.WriteStream): RenderOptions {
	return { colour: stream.isTTY === true && stream.hasColors() };
}

/** A decision as a person reads it: the verdict, who lands where, every reason. */
export function renderDecision(decision: Decision, title: string, options: RenderOptions): string {
	const { mapping, reasons } = decision;
	const lines = [
		heading(decision, title, options),
		...Object.entries(mapping).map(([device, candidate]) => printable(`  ${device} -> ${candidate}`)),
		...table(
			reasons.map(({ severity, code, message }) => [severity, code, message]),
			"  ",
		),
	];
	return inLines(lines);
}

/** The verdict, what the policy makes of it, what it is about, the id. */
export function heading({ id, verdict, allowed }: Decision, title: string, { colour }: RenderOptions): string {
	const policy = verdict === "unknown" ? (allowed ? " (allowed by policy)" : " (refused by policy)") : "";
	return `${paint(verdict, verdict.toUpperCase(), colour)}${policy}  ${printable(title)}  [${id}]`;
}

const REASON_WIDTH = 110;

/** The first of the reasons, and how many more there are: what a line of a table has room for. */
export function leadReason([first, ...others]: Decision["reasons"]): string {
	const more = others.length > 0 ? ` (+${others.length} more)` : "";
	return first === undefined ? "-" : clip(`${first.code}: ${first.message}`, REASON_WIDTH) + more;
}

export function paint(verdict: Verdict, text: string, colour: boolean): string {
	return colour ? styleText(COLOURS[verdict], text, { validateStream: false }) : text;
}
