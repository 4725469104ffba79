import { comparerFor } from "./comparer.ts";
import { type Asker, answerer } from "./decide.ts";
import type { Decision } from "./decision.ts";
import { byHost, type Fleet, type FleetHost } from "./fleet.ts";
import { expandUevent } from "./normalise.ts";
import { byId } from "./pool.ts";
import { VERDICT_ORDER } from "./settle.ts";
import { createSettler, type Standing } from "./settler.ts";

/** One host of a ranking, with the decision about it. */
export type RankedHost = Standing & Decision;

/**
 * The hosts of a fleet, the best first. Alike devices are compared once, and what several hosts offer to the same devices is settled
 * once: one more host costs a look at its classes.
 */
export function rank(asker: Asker, fleet: Fleet): readonly Standing[] {
	return fleet.hosts.map(standingIn(fleet, asker)).sort(byStanding);
}

/** The same, each with the decision about it. */
export function rankDecisions(asker: Asker, fleet: Fleet): readonly RankedHost[] {
	const answer = answerer(asker);
	const standingOf = standingIn(fleet, asker);
	return fleet.hosts
		.map((host) => ({ ...standingOf(host), ...answer({ target_host: host.host, pools: host.pools }).decision }))
		.sort(byStanding);
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

/** Accept first; then the most bugfixes, the most room, the name. A total order: no host moves because another one is added. */
export function byStanding(a: Standing, b: Standing): number {
	return (
		VERDICT_ORDER.indexOf(a.verdict) - VERDICT_ORDER.indexOf(b.verdict) ||
		(b.bugfix ?? -1) - (a.bugfix ?? -1) ||
		b.free_capacity - a.free_capacity ||
		byHost(a, b)
	);
}
