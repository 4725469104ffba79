import { attempt, notesOf, usable } from "./attempt.ts";
import { annotate, type Decision } from "./compat/decision.ts";
import { fleetOf, type HostOffer } from "./compat/fleet.ts";
import type { Policy } from "./compat/policy.ts";
import { byStanding, decisionsIn, type Ranking, rank, rankingOf, unplaced } from "./compat/rank.ts";
import type { Reason } from "./compat/reason.ts";
import { type Departure, freeDevices, outsetOf } from "./departure.ts";
import { type CheckOptions, unanswered, withoutComparison } from "./precheck.ts";
import { SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** The question of whoever chooses the destination: to which of these hosts best? */
export interface RankRequest extends Departure {
	readonly dest_hosts: readonly string[];
	/** How many of them the answer is to name; left out, all. */
	readonly limit?: number | undefined;
}

export type RankDestinations = (request: RankRequest, options: CheckOptions) => Promise<Ranking>;

/** The same for many destinations: all snapshots at once, the hosts in order; one that cannot be asked is unknown. */
export function createRanking(snapshots: SnapshotSource, policy: () => Policy): RankDestinations {
	return async ({ dest_hosts, limit, ...departure }, options) => {
		const { source_host } = departure;
		const hosts = [...new Set(dest_hosts)];
		const attempts = await Promise.all([source_host, ...hosts].map((host) => attempt(snapshots, host, options)));
		const current = policy();
		const [source, ...targets] = attempts.map((one) => usable(one, current));
		const outset = outsetOf(source, departure);
		const uncompared = new Map<string, Decision>();
		const offers: HostOffer[] = [];
		const notes = new Map<string, readonly Reason[]>();
		for (const [index, dest_host] of hosts.entries()) {
			const target = targets[index];
			const request = { ...departure, dest_host };
			if ("reasons" in outset) {
				uncompared.set(dest_host, withoutComparison(outset.verdict, outset.reasons, request, current));
			} else if (target instanceof SnapshotError) {
				uncompared.set(dest_host, unanswered(target, request, current));
			} else if (target) {
				offers.push({ host: dest_host, candidates: freeDevices(target.snapshot) });
				notes.set(dest_host, target.notes);
			}
		}
		const asker = { source_host, devices: "devices" in outset ? outset.devices : [], policy: current };
		const fleet = fleetOf(offers);
		const compared = decisionsIn(fleet, asker);
		const standings = [...rank(asker, fleet), ...[...uncompared].map(unplaced)].sort(byStanding);
		const decisionOn = (host: string) =>
			annotate(uncompared.get(host) ?? compared(host), [...notesOf(source), ...(notes.get(host) ?? [])]);
		return rankingOf(standings, decisionOn, limit);
	};
}
