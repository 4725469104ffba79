import type { Ranking } from "../compat/rank.ts";
import { z } from "../zod.ts";
import { DecisionReply, type DryRunOptions, dryRun } from "./dry-run.ts";
import { bestExitCode, exitCodeOf, UsageError } from "./exit-codes.ts";
import { rankingRows, renderRanking } from "./rank.ts";
import { renderDecision, terminalColour } from "./render/decision.ts";

const RankingReply = z.object({
	hosts: z.array(
		DecisionReply.and(z.looseObject({ host: z.string(), bugfix: z.number().nullable(), free_capacity: z.number() })),
	),
	verdicts: z.record(z.string(), z.number()),
}) as unknown as z.ZodType<Ranking>;

/** `novacompat where-can-it-go`: to which of these hosts the instance may go, the best first, and why not to the others. */
export function whereCanItGo(
	instance_uuid: string,
	source_host: string,
	dest_hosts: readonly string[],
	options: DryRunOptions,
): Promise<number> {
	// Whoever names all hosts means the others.
	const others = dest_hosts.filter((host) => host !== source_host);
	if (others.length === 0) throw new UsageError(`the instance leaves ${source_host}, expected another host too`);
	const request = { instance_uuid, source_host, dest_hosts: others };
	const question = { method: "rank_destinations", version: "1.1", request, answer: RankingReply };
	return dryRun(question, options, (ranking) => {
		const { hosts } = ranking;
		const colour = terminalColour(process.stdout);
		const inFull = hosts
			.filter(({ reasons }) => reasons.length > 0)
			.map((host) => renderDecision(host, `${source_host} -> ${host.host}`, colour));
		return {
			...rankingRows(ranking),
			text: () => [renderRanking(ranking, colour), ...inFull].join("\n"),
			exitCode: bestExitCode(hosts.map(exitCodeOf)),
		};
	});
}
