import { fleetOf } from "../compat/fleet.ts";
import { type RankedHost, rankDecisions } from "../compat/rank.ts";
import { freeDevices } from "../precheck.ts";
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
	readonly format: string;
}

/** Orders hosts by how well they can take the devices of another one; the exit code is that of the first. */
export function rank({ source: path, targets, device, policy, format }: RankOptions): number {
	const source = readHost(path);
	const offers = readHosts(targets)
		.filter(({ host }) => host !== source.host)
		.map((snapshot) => ({ host: snapshot.host, candidates: freeDevices(snapshot) }));
	const asker = { source_host: source.host, devices: chosenDevices(source, device), policy: policyOf(policy) };
	const hosts = rankDecisions(asker, fleetOf(offers));
	process.stdout.write(
		format === "json"
			? `${JSON.stringify({ source_host: source.host, hosts }, null, 2)}\n`
			: renderRanking(hosts, terminalColour(process.stdout)),
	);
	return bestExitCode(hosts.map(exitCodeOf));
}

/** A host on a line, with the first of its reasons. */
export function renderRanking(hosts: readonly RankedHost[], { colour }: RenderOptions): string {
	const header = ["", "HOST", "VERDICT", "BUGFIX", "FREE", "REASON"];
	const rows = hosts.map(({ host, verdict, bugfix, free_capacity, reasons }, index) => {
		const shown = bugfix === null ? "-" : `${bugfix}`;
		return [`${index + 1}`, host, verdict, shown, `${free_capacity}`, leadReason(reasons)];
	});
	const lines = table([header, ...rows], "", (cell, row, column) => {
		const host = hosts[row - 1];
		return host && header[column] === "VERDICT" ? paint(host.verdict, cell, colour) : cell;
	});
	return lines.map((line) => `${line}\n`).join("");
}
