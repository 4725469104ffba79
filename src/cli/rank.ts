import { fleetOf } from "../compat/fleet.ts";
import { type Ranking, rankDecisions } from "../compat/rank.ts";
import { countsText, hostCount } from "../compat/summary.ts";
import { freeDevices } from "../departure.ts";
import { bestExitCode, exitCodeOf } from "./exit-codes.ts";
import { chosenDevices, readHost, readHosts } from "./hosts.ts";
import { DECISION_COLUMNS, decisionCells, type Output, type OutputOptions, print } from "./output.ts";
import { policyOf } from "./policy.ts";
import { leadReason, paint, type RenderOptions, terminalColour } from "./render/decision.ts";
import { inLines, table } from "./render/table.ts";

export interface RankOptions extends OutputOptions {
	readonly source: string;
	readonly targets: readonly string[];
	readonly device?: readonly string[];
	readonly policy?: string;
	readonly limit?: number;
}

/** Orders hosts by how well they can take the devices of another one; the exit code is that of the first. */
export async function rank(options: RankOptions): Promise<number> {
	const { source: path, targets, device, policy, limit } = options;
	const source = await readHost(path);
	const offers = (await readHosts(targets))
		.filter(({ host }) => host !== source.host)
		.map((snapshot) => ({ host: snapshot.host, candidates: freeDevices(snapshot) }));
	const asker = { source_host: source.host, devices: chosenDevices(source, device), policy: policyOf(policy) };
	const ranking = rankDecisions(asker, fleetOf(offers), limit);
	const text = () => renderRanking(ranking, terminalColour(process.stdout));
	print({ ...rankingRows(ranking), data: { source_host: source.host, ...ranking }, text }, options);
	return bestExitCode(ranking.hosts.map(exitCodeOf));
}

export function rankingRows({ hosts }: Ranking): Pick<Output, "kind" | "columns" | "rows"> {
	const rows = hosts.map((standing, index) => {
		const { host, bugfix, free_capacity } = standing;
		return [index + 1, host, bugfix, free_capacity, ...decisionCells(standing)];
	});
	return { kind: "list", columns: ["rank", "host", "bugfix", "free", ...DECISION_COLUMNS], rows };
}

/** A host on a line, with the first of its reasons; below them, what all hosts come to when some are not shown. */
export function renderRanking({ verdicts, hosts }: Ranking, { colour }: RenderOptions): string {
	const header = ["", "HOST", "VERDICT", "BUGFIX", "FREE", "REASON"];
	const rows = hosts.map(({ host, verdict, bugfix, free_capacity, reasons }, index) => {
		const shown = bugfix === null ? "-" : `${bugfix}`;
		return [`${index + 1}`, host, verdict, shown, `${free_capacity}`, leadReason(reasons)];
	});
	const lines = table([header, ...rows], "", (cell, row, column) => {
		const host = hosts[row - 1];
		return host && header[column] === "VERDICT" ? paint(host.verdict, cell, colour) : cell;
	});
	const all = hostCount(verdicts);
	const rest = all > hosts.length ? [`${all - hosts.length} more; of all ${all}: ${countsText(verdicts)}`] : [];
	return inLines([...lines, ...rest]);
}
