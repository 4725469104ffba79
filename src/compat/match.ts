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
	const takers = new Map<C, Choice<D, C>[]>();
	const takersOf = (candidate: C) => takers.get(candidate) ?? [];

	/** Finds room for the device, moving others if need be; `visited` collects the candidates that were asked. */
	function place(choice: Choice<D, C>, visited: Set<C>): boolean {
		for (const candidate of choice.candidates) {
			if (visited.has(candidate)) continue;
			visited.add(candidate);
			const seated = takersOf(candidate);
			if (seated.length < candidate.capacity) {
				takers.set(candidate, [...seated, choice]);
				return true;
			}
			const mover = seated.find((taker) => place(taker, visited));
			if (mover !== undefined) {
				takers.set(candidate, [...takersOf(candidate).filter((taker) => taker !== mover), choice]);
				return true;
			}
		}
		return false;
	}

	const contested = choices.flatMap((choice) => {
		const visited = new Set<C>();
		if (place(choice, visited)) return [];
		// What the failed search has seen is full of devices that have nowhere else to go (Hall's theorem).
		const candidates = [...visited];
		const rivals = candidates.flatMap(takersOf).map(({ device }) => device);
		return [{ device: choice.device, rivals, candidates }];
	});
	const pairs = [...takers].flatMap(([candidate, seated]) => seated.map(({ device }) => [device, candidate] as const));
	return { assigned: new Map(pairs), contested };
}
