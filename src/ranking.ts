import { type Checked, usable } from "./attempt.ts";
import { fleetOf, type HostOffer } from "./compat/fleet.ts";
import { once } from "./compat/once.ts";
import type { Policy } from "./compat/policy.ts";
import { byStanding, decisionsIn, type Ranking, rank, rankingOf, unplaced } from "./compat/rank.ts";
import { type Departure, freeDevices, outsetOf } from "./departure.ts";
import { type Asked, askAbout, type CheckOptions, compared, uncompared } from "./precheck.ts";
import { comparedOf } from "./snapshot/compared.ts";
import type { Snapshot } from "./snapshot/snapshot.ts";
import { SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** The question of whoever chooses the destination: to which of these hosts best? */
export interface RankRequest extends Departure {
	readonly dest_hosts: readonly string[];
	/** How many of them the answer is to name; left out, all. */
	readonly limit?: number | undefined;
}

export type RankDestinations = (request: RankRequest, options: CheckOptions) => Promise<Ranking>;

/**
 * The pre-check for many destinations: all snapshots at once, the hosts in order, and of each what a check of it alone says; one
 * that cannot be asked is unknown.
 */
export function createRanking(snapshots: SnapshotSource, policy: () => Policy): RankDestinations {
	return async ({ dest_hosts, limit, ...departure }, options) => {
		const { source_host } = departure;
		const hosts = [...new Set(dest_hosts)];
		const ask = askAbout(departure, snapshots, options);
		const briefly = async (host: string) => briefOf(await ask(host));
		const [source, targets] = await Promise.all([ask(source_host), Promise.all(hosts.map(briefly))]);
		const current = policy();
		const bases = new Map(hosts.map((host, index) => [host, basisOf(source, targets[index], current)]));
		const devices = devicesOf(source, departure, current);
		const offers: HostOffer[] = [];
		const others = new Map<string, Checked>();
		for (const [host, basis] of bases) {
			const candidates = devices && candidatesOf(basis.target, current);
			if (candidates) offers.push({ host, candidates });
			else others.set(host, uncompared({ ...departure, dest_host: host }, basis));
		}
		const asker = { source_host, devices: devices ?? [], policy: current };
		const fleet = fleetOf(offers);
		const decided = decisionsIn(fleet, asker);
		const standings = [...rank(asker, fleet), ...[...others].map(unplaced)].sort(byStanding);
		const decisionOn = (host: string): Checked =>
			others.get(host) ??
			compared(
				decided(host),
				{ ...departure, dest_host: host },
				bases.get(host) ?? basisOf(source, undefined, current),
			);
		return rankingOf(standings, decisionOn, limit);
	};
}

/** A ranking holds what all hosts of a cloud say until the last one has answered; whole snapshots would take several times as much. */
function briefOf(target: Asked): Asked {
	return target === "not asked" || target instanceof SnapshotError ? target : comparedIn(target);
}

/** The same for the next ranking, whose answers are remembered by it. */
const comparedIn = once((snapshot: Snapshot): Snapshot => ({ ...snapshot, devices: snapshot.devices.map(comparedOf) }));

function basisOf(source: Asked, target: Asked = "not asked", policy: Policy) {
	return { source, target, policy };
}

/** What must continue; undefined where no device is to be compared, whatever the destination. */
function devicesOf(source: Asked, departure: Departure, policy: Policy) {
	if (source === "not asked") return undefined;
	const outset = outsetOf(usable(source, policy), departure);
	return "devices" in outset ? outset.devices : undefined;
}

function candidatesOf(target: Asked, policy: Policy) {
	const offered = target === "not asked" ? undefined : usable(target, policy);
	return offered === undefined || offered instanceof SnapshotError ? undefined : freeDevices(offered.snapshot);
}
