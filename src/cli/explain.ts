import { type ExplainedDecision, explain as explainDecision } from "../compat/explain.ts";
import { freeDevices } from "../departure.ts";
import { bestExitCode, exitCodeOf, UsageError } from "./exit-codes.ts";
import { chosenDevices, readHost, readHosts } from "./hosts.ts";
import { DECISION_COLUMNS, decisionCells, type OutputOptions, print } from "./output.ts";
import { policyOf } from "./policy.ts";
import { terminalColour } from "./render/decision.ts";
import { renderExplanation } from "./render/explanation.ts";

export interface ExplainOptions extends OutputOptions {
	/** A snapshot file, a host tree or a sysfs root each. */
	readonly source?: string;
	readonly target?: readonly string[];
	readonly device?: readonly string[];
	readonly policy?: string;
	/** Have a meaning for a decision that was made. */
	readonly set?: readonly string[];
	readonly unset?: readonly string[];
}

/** Decides offline and shows what every device met; the exit code is the verdict, of several targets that of the best. */
export async function explain(options: ExplainOptions): Promise<number> {
	const { source: path, target, device, policy: file, set, unset } = options;
	if (path === undefined || target === undefined) {
		throw new UsageError("which hosts? expected --source and --target, or --journal for a decision that was made");
	}
	for (const [option, words] of Object.entries({ set, unset })) {
		if (words)
			throw new UsageError(`--${option} ${words.join(" ")} has no meaning without --journal, which names the decision`);
	}
	const source = await readHost(path);
	const devices = chosenDevices(source, device);
	const policy = policyOf(file);
	const decisions = (await readHosts(target)).map((host) => {
		const hosts = { source_host: source.host, target_host: host.host };
		return explainDecision({ ...hosts, devices, candidates: freeDevices(host), policy });
	});
	const rows = decisions.map((one) => [one.source_host, one.target_host, ...decisionCells(one)]);
	const [only] = decisions;
	const isOne = decisions.length === 1;
	print(
		{
			kind: isOne ? "one" : "list",
			data: isOne ? only : decisions,
			text: () => table(decisions),
			columns: ["from", "to", ...DECISION_COLUMNS],
			rows,
		},
		options,
	);
	return bestExitCode(decisions.map(exitCodeOf));
}

function table(decisions: readonly ExplainedDecision[]): string {
	const options = terminalColour(process.stdout);
	return decisions.map((decision) => renderExplanation(decision, options)).join("\n");
}
