import type { Candidate } from "./device.ts";
import { type Pool, poolsOf } from "./pool.ts";

/** A host and what it has free. */
export interface HostOffer {
	readonly host: string;
	readonly candidates: readonly Candidate[];
}

/** One candidate of a class stands for all of them. */
export interface FleetClass {
	readonly key: string;
	readonly first: Candidate;
	/** The index in the classes of the fleet. */
	readonly number: number;
}

export interface FleetHost {
	readonly host: string;
	readonly pools: readonly Pool[];
	/** Class and capacity of each pool, side by side: a ranking reads these of every host, and little else. */
	readonly numbers: readonly number[];
	readonly capacities: readonly number[];
}

/** Hosts with their candidates sorted into classes of alike ones: done once per snapshot, used for many questions. */
export interface Fleet {
	readonly classes: readonly FleetClass[];
	/** By name. */
	readonly hosts: readonly FleetHost[];
}

export function fleetOf(offers: readonly HostOffer[]): Fleet {
	const classes = new Map<string, FleetClass>();
	const classOf = ({ key, first }: Pool): FleetClass => {
		const found = classes.get(key) ?? { key, first, number: classes.size };
		classes.set(found.key, found);
		return found;
	};
	const hosts = [...offers].sort(byHost).map(({ host, candidates }) => {
		const pools = poolsOf(candidates);
		const numbers = pools.map((pool) => classOf(pool).number);
		return { host, pools, numbers, capacities: pools.map(({ capacity }) => capacity) };
	});
	return { classes: [...classes.values()], hosts };
}

export function byHost(a: { readonly host: string }, b: { readonly host: string }): number {
	return Number(a.host > b.host) - Number(a.host < b.host);
}
