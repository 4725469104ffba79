import { DecisionReply, type DryRunOptions, dryRun } from "./dry-run.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { DECISION_COLUMNS, decisionCells } from "./output.ts";
import { renderDecision, terminalColour } from "./render/decision.ts";

/** `novacompat precheck`: whether the instance may go there, as the service would tell Nova. */
export function precheck(
	instance_uuid: string,
	source_host: string,
	dest_host: string,
	options: DryRunOptions,
): Promise<number> {
	const request = { instance_uuid, source_host, dest_host };
	const question = { method: "check_live_migration", version: "1.0", request, answer: DecisionReply };
	const title = `${source_host} -> ${dest_host}, instance ${instance_uuid}`;
	return dryRun(question, options, (decision) => ({
		kind: "one",
		text: () => renderDecision(decision, title, terminalColour(process.stdout)),
		columns: ["instance", "from", "to", ...DECISION_COLUMNS],
		rows: [[instance_uuid, source_host, dest_host, ...decisionCells(decision)]],
		exitCode: exitCodeOf(decision),
	}));
}
