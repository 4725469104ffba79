import type { Decision } from "../compat/decision.ts";
import { canonicalJson } from "../compat/digest.ts";
import { explain } from "../compat/explain.ts";
import type { Reason } from "../compat/reason.ts";
import type { JournalEntry } from "../journal/reader.ts";
import { type Basis, checkAgain, questionOf } from "../precheck.ts";
import { edited, readEdits } from "./edits.ts";
import { exitCodeOf, UsageError } from "./exit-codes.ts";
import { readHost } from "./hosts.ts";
import { findDecision } from "./journal/journal.ts";
import { DECISION_COLUMNS, decisionCells, type OutputOptions, print } from "./output.ts";
import { policyOf } from "./policy.ts";
import { heading, type RenderOptions, renderDecision, terminalColour } from "./render/decision.ts";
import { renderExplanation } from "./render/explanation.ts";
import { table } from "./render/table.ts";

export interface WhatIfOptions extends OutputOptions {
	/** Id of a decision, or its request id. */
	readonly journal: string;
	readonly directory: readonly string[];
	readonly set?: readonly string[];
	readonly unset?: readonly string[];
	/** Snapshots in the place of those of then. */
	readonly source?: string;
	readonly target?: readonly string[];
	/** Has no meaning: the request has named the devices. */
	readonly device?: readonly string[];
	readonly policy?: string;
}

/** `novacompat explain --journal`: what a decision would be if something were otherwise; the exit code is its verdict. */
export async function whatIf(options: WhatIfOptions): Promise<number> {
	refuseMeaningless(options);
	const { entry } = findDecision(options.directory, options.journal);
	const basis = await otherwise(entry.basis(), options);
	const { snapshots, ...decision } = checkAgain(entry.request, basis);
	const { instance_uuid, source_host, dest_host } = entry.request;
	print(
		{
			kind: "one",
			data: { recorded: entry.decision, decision, ...changes(entry.decision, decision) },
			text: () => render(entry, decision, basis, terminalColour(process.stdout)),
			columns: ["instance", "from", "to", "was", ...DECISION_COLUMNS],
			rows: [[instance_uuid, source_host, dest_host, entry.decision.verdict, ...decisionCells(decision)]],
		},
		options,
	);
	return exitCodeOf(decision);
}

function refuseMeaningless({ device, target = [] }: WhatIfOptions): void {
	if (device) {
		throw new UsageError(`--device ${device.join(" ")} has no meaning with --journal, whose request names the devices`);
	}
	if (target.length > 1) throw new UsageError(`--target ${target.join(" ")}: expected one host with --journal`);
}

async function otherwise(basis: Basis, options: WhatIfOptions): Promise<Basis> {
	const { source, target, policy, set = [], unset = [] } = options;
	const [file] = target ?? [];
	const given = {
		...basis,
		...(source !== undefined && { source: await readHost(source) }),
		...(file !== undefined && { target: await readHost(file) }),
		...(policy !== undefined && { policy: policyOf(policy) }),
	};
	return edited(given, readEdits(set, unset));
}

/** Reasons that there were and are no more, and those that are new. */
function changes(recorded: Decision, { reasons }: Decision) {
	const lacking = (some: readonly Reason[], others: readonly Reason[]) => {
		const known = new Set(others.map(canonicalJson));
		return some.filter((one) => !known.has(canonicalJson(one)));
	};
	return { gone: lacking(recorded.reasons, reasons), new: lacking(reasons, recorded.reasons) };
}

function render(
	{ decision: recorded, request }: JournalEntry,
	decision: Decision,
	basis: Basis,
	options: RenderOptions,
) {
	const title = `${request.source_host} -> ${request.dest_host}`;
	const changed = changes(recorded, decision);
	const rows = [
		...changed.gone.map(({ severity, code, message }) => ["-", severity, code, message]),
		...changed.new.map(({ severity, code, message }) => ["+", severity, code, message]),
	];
	const question = questionOf(request, basis);
	const now = question
		? renderExplanation({ ...explain(question), ...decision }, options)
		: renderDecision(decision, title, options);
	const lines = [
		`was  ${heading(recorded, title, options)}`,
		...table(rows, "  "),
		...(rows.length > 0 ? [] : ["  no reason changes"]),
	];
	return `${lines.join("\n")}\n\n${now}`;
}
