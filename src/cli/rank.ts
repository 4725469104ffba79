import { fleetOf } from "../compat/fleet.ts";
import { type Ranking, rankDecisions } from "../compat/rank.ts";
import { countsText, hostCount } from "../compat/summary.ts";
import { freeDevices } from "../departure.ts";
import { bestExitCode, exitCodeOf } from "./exit-codes.ts";
import { policyOf } from "./explain.ts";
import { chosenDevices, readHost, readHosts } from "./hosts.ts";
import { leadReason, paint, type RenderOptions, terminalColour } from "./render.ts";
import { table } from "./table.ts";

export interface RankOptions {
	readonly source: string;
	readonly targets: readonly string[];
	readonly device?: readonly string[];
	readonly policy?: string;
	readonly limit?: number;
	readonly format: string;
}

/** Orders hosts by how well they can take the devices of another one; the exit code is that of the first. */
export async function rank(options: RankOptions): Promise<number> {
	const { source: path, targets, device, policy, limit, format } = options;
	const source = await readHost(path);
	const offers = (await readHosts(targets))
		.filter(({ host }) => host !== source.host)
		.map((snapshot) => ({ host: snapshot.host, candidates: freeDevices(snapshot) }));
	const asker = { source_host: source.host, devices: chosenDevices(source, device), policy: policyOf(policy) };
	const ranking = rankDecisions(asker, fleetOf(offers), limit);
	process.stdout.write(
		format === "json"
			? `${JSON.stringify({ source_host: source.host, ...ranking }, null, 2)}\n`
			: renderRanking(ranking, terminalColour(process.stdout)),
	);
	return bestExitCode(ranking.hosts.map(exitCodeOf));
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
	return [...lines, ...rest].map((line) => `${line}\n`).join("");
}
