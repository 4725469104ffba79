import { attributeOf, type Candidate, type Device } from "./device.ts";
import { expandUevent } from "./normalise.ts";
import { once } from "./once.ts";
import { parseVersion } from "./version.ts";

/** Candidates of one host that no comparison can tell apart, and how many devices they can take together. */
export interface Pool {
	readonly key: string;
	/** Any one of them stands for all. */
	readonly first: Candidate;
	/** By id. */
	readonly candidates: readonly Candidate[];
	readonly capacity: number;
}

/** A certain candidate of a pool. */
export interface Seat {
	readonly candidate: Candidate;
	readonly pool: Pool;
}

/** Everything that a comparison looks at, as text: devices with the same key are alike. As long as the device, so it is not kept for each. */
export function classKey({ kind, attributes, unreadable, overlaid = {} }: Device): string {
	return JSON.stringify([kind, byName(attributes), byName(unreadable), byName(overlaid)]);
}

function byName(texts: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
	return Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The candidates by class; the order of the pools is that of their first ids. */
export const poolsOf = once((candidates: readonly Candidate[]): readonly Pool[] => {
	const pools = new Map<string, Pool & { readonly candidates: Candidate[]; capacity: number }>();
	for (const candidate of byId(candidates).map(expandUevent)) {
		const key = classKey(candidate);
		const pool = pools.get(key) ?? { key, first: candidate, candidates: [], capacity: 0 };
		pools.set(key, pool);
		pool.candidates.push(candidate);
		pool.capacity += candidate.capacity;
	}
	return [...pools.values()];
});

export function capacityOf(candidates: readonly Candidate[]): number {
	return candidates.reduce((sum, { capacity }) => sum + capacity, 0);
}

export function byId<T extends { readonly id: string }>(devices: readonly T[]): readonly T[] {
	return [...devices].sort((a, b) => Number(a.id > b.id) - Number(a.id < b.id));
}

/** The last component of the device's own version; -1 when it has none: of two targets the one with more bugfixes is better. */
export function bugfixOf(device: Device): number {
	const text = attributeOf(device, "software_version") ?? attributeOf(device, "interface_version") ?? "";
	return parseVersion(text)?.bugfix ?? -1;
}
