import fc from "fast-check";
import { expect, test } from "vitest";
import { match } from "../../src/compat/match.ts";

interface Seat {
	readonly name: number;
	readonly capacity: number;
}

/** The largest number of devices that can be seated, by trying everything. */
function bruteForce(wishes: readonly (readonly Seat[])[], taken = new Map<Seat, number>()): number {
	const [first, ...rest] = wishes;
	if (first === undefined) return 0;
	const without = bruteForce(rest, taken);
	const withFirst = first
		.filter((seat) => (taken.get(seat) ?? 0) < seat.capacity)
		.map((seat) => 1 + bruteForce(rest, new Map(taken).set(seat, (taken.get(seat) ?? 0) + 1)));
	return Math.max(without, ...withFirst);
}

const world = fc.array(fc.nat(2), { minLength: 1, maxLength: 4 }).chain((capacities) => {
	const seats = capacities.map((capacity, name): Seat => ({ name, capacity }));
	return fc.array(fc.shuffledSubarray(seats), { maxLength: 5 });
});

test("as many devices as brute force can seat, each on a seat that it wants, no seat twice too often", () => {
	fc.assert(
		fc.property(world, (wishes) => {
			const { assigned, contested } = match(wishes.map((candidates, device) => ({ device, candidates })));
			expect(assigned.size).toBe(bruteForce(wishes));
			expect(assigned.size + contested.length).toBe(wishes.length);
			const load = new Map<Seat, number>();
			for (const [device, seat] of assigned) {
				expect(wishes[device]).toContain(seat);
				load.set(seat, (load.get(seat) ?? 0) + 1);
			}
			for (const [seat, count] of load) expect(count).toBeLessThanOrEqual(seat.capacity);
		}),
		{ numRuns: 500 },
	);
});

test("who is left out learns who has taken everything that it could have (Hall's theorem)", () => {
	fc.assert(
		fc.property(world, (wishes) => {
			const { contested } = match(wishes.map((candidates, device) => ({ device, candidates })));
			for (const { device, rivals, candidates } of contested) {
				const capacity = candidates.reduce((sum, seat) => sum + seat.capacity, 0);
				expect(new Set([device, ...rivals]).size).toBe(capacity + 1);
				for (const one of [device, ...rivals])
					expect(candidates).toEqual(expect.arrayContaining([...(wishes[one] ?? [])]));
			}
		}),
		{ numRuns: 500 },
	);
});
