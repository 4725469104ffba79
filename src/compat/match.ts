/** Which candidates a device may take, the best first. */
export interface Choice<D, C> {
	readonly device: D;
	readonly candidates: readonly C[];
}

export interface Matching<D, C> {
	readonly assigned: ReadonlyMap<D, C>;
	/** Devices for which nothing is left, each with everyone who wants the same candidates. */
	readonly contested: readonly {
		readonly device: D;
		readonly rivals: readonly D[];
		readonly candidates: readonly C[];
	}[];
}

/**
 * Gives each device a candidate of its own, as many devices as possible: a maximum bipartite matching by augmenting
 * paths (Kuhn), in which a candidate can be taken `capacity` times. Same input, same matching.
 */
export function match<D, C extends { readonly capacity: number }>(choices: readonly Choice<D, C>[]): Matching<D, C> {
	const candidatesOf = new Map(choices.map(({ device, candidates }) => [device, candidates]));
	const takers = new Map<C, D[]>();
	const takersOf = (candidate: C) => takers.get(candidate) ?? [];

	/** Finds room for the device, moving others if need be; `visited` collects the candidates that were asked. */
	function place(device: D, visited: Set<C>): boolean {
		for (const candidate of candidatesOf.get(device) ?? []) {
			if (visited.has(candidate)) continue;
			visited.add(candidate);
			const seated = takersOf(candidate);
			if (seated.length < candidate.capacity) {
				takers.set(candidate, [...seated, device]);
				return true;
			}
			const mover = seated.find((taker) => place(taker, visited));
			if (mover !== undefined) {
				takers.set(candidate, [...takersOf(candidate).filter((taker) => taker !== mover), device]);
				return true;
			}
		}
		return false;
	}

	const contested = choices.flatMap(({ device }) => {
		const visited = new Set<C>();
		if (place(device, visited)) return [];
		// What the failed search has seen is full of devices that have nowhere else to go (Hall's theorem).
		const candidates = [...visited];
		return [{ device, rivals: candidates.flatMap(takersOf), candidates }];
	});
	const assigned = new Map(
		[...takers].flatMap(([candidate, devices]) => devices.map((device) => [device, candidate] as const)),
	);
	return { assigned, contested };
}
