import { DecisionReply, type DryRunOptions, dryRun } from "./dry-run.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { renderDecision, terminalColour } from "./render.ts";

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
		text: renderDecision(decision, title, terminalColour(process.stdout)),
		exitCode: exitCodeOf(decision),
	}));
}
