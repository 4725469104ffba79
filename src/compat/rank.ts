import { comparerFor } from "./comparer.ts";
import { type Asker, answerer } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { byHost, type Fleet, type FleetHost } from "./fleet.ts";
import { expandUevent } from "./normalise.ts";
import { byId } from "./pool.ts";
import type { Verdict } from "./reason.ts";
import { VERDICT_ORDER } from "./settle.ts";
import { createSettler, type Standing } from "./settler.ts";

/** One host of a ranking, with the decision about it. */
type RankedHost = Standing & Decision;

export interface Ranking {
	/** How many of all hosts have which verdict, the best first. */
	readonly verdicts: Readonly<Partial<Record<Verdict, number>>>;
	/** The best first, as many as were asked for. */
	readonly hosts: readonly RankedHost[];
}

/**
 * The hosts of a fleet, the best first. Alike devices are compared once, and what several hosts offer to the same devices is settled
 * once: one more host costs a look at its classes.
 */
export function rank(asker: Asker, fleet: Fleet): readonly Standing[] {
	return fleet.hosts.map(standingIn(fleet, asker)).sort(byStanding);
}

/**
 * The best `limit` hosts of a fleet, each with the decision about it. A decision names what every device of the host lacks, and so
 * costs many times what the place of a host in the order costs: it is made for those alone that are told.
 */
export function rankDecisions(asker: Asker, fleet: Fleet, limit?: number): Ranking {
	return rankingOf(rank(asker, fleet), decisionsIn(fleet, asker), limit);
}

/** A ranking of hosts in order. */
export function rankingOf(
	standings: readonly Standing[],
	decisionOn: (host: string) => Decision,
	limit = Number.POSITIVE_INFINITY,
): Ranking {
	const counts = VERDICT_ORDER.map(
		(verdict) => [verdict, standings.filter((standing) => standing.verdict === verdict).length] as const,
	);
	return {
		verdicts: Object.fromEntries(counts.filter(([, count]) => count > 0)),
		hosts: standings.slice(0, limit).map((standing) => ({ ...standing, ...decisionOn(standing.host) })),
	};
}

/** The decision about each host of a fleet, made when it is asked for. */
export function decisionsIn(fleet: Fleet, asker: Asker): (host: string) => Decision {
	const answer = answerer(asker);
	const offers = new Map(fleet.hosts.map(({ host, pools }) => [host, pools]));
	return (target_host) => answer({ target_host, pools: offers.get(target_host) ?? [] }).decision;
}

function standingIn(fleet: Fleet, { source_host, devices, policy }: Asker): (host: FleetHost) => Standing {
	const comparer = comparerFor(policy);
	const asker = { source_host, devices: byId(devices).map(expandUevent), policy };
	const settlerFor = (target_host: string) => createSettler(asker, fleet, target_host, comparer);
	const ordinary = settlerFor("");
	// Only an override can make a host unlike another one that has the same to offer.
	const overridden = new Set(policy.overrides.map(({ scope }) => scope.target_host));
	return (host) => (overridden.has(host.host) ? settlerFor(host.host)(host) : ordinary(host));
}

/** The place of a host of which nothing more is known than the decision. */
export function unplaced([host, { verdict, allowed }]: readonly [string, Decision]): Standing {
	return { host, verdict, allowed, bugfix: null, free_capacity: 0 };
}

/** What is allowed first, then by verdict, bugfixes, room, name. A total order: no host moves because another one is added. */
export function byStanding(a: Standing, b: Standing): number {
	return (
		Number(b.allowed) - Number(a.allowed) ||
		VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict) ||
		(b.bugfix ?? -1) - (a.bugfix ?? -1) ||
		b.free_capacity - a.free_capacity ||
		byHost(a, b)
	);
}
