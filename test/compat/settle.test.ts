import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { type ReasonCode, reason, type Verdict } from "../../src/compat/reason.ts";
import { fitOf, type Option, settle } from "../../src/compat/settle.ts";

interface Seat {
	readonly id: string;
	readonly capacity: number;
}

const seat = (id: string, capacity = 1): Seat => ({ id, capacity });
const [W, X, Y, Z] = [seat("W"), seat("X"), seat("Y"), seat("Z")];
/** `opaque.differs` is unknown; so is `declaration.none`, and let pass. */
const POLICY: Policy = { ...DEFAULT_POLICY, unknown: { "declaration.none": "accept" } };
const option = (candidate: Seat, codes: readonly ReasonCode[] = [], bugfix = 0): Option<Seat> => ({
	candidate,
	fit: fitOf(
		codes.map((code) => reason(code, "r", "m")),
		POLICY,
	),
	bugfix,
});

/** What each device may take; verdict and who takes what. */
function settled(wishes: Readonly<Record<string, readonly Option<Seat>[]>>) {
	const { verdict, assigned, contested } = settle(Object.keys(wishes), (device) => wishes[device] ?? []);
	const taken = Object.fromEntries([...assigned].map(([device, { id }]) => [device, id]));
	return { verdict, taken, left_out: contested.map(({ device }) => device) };
}

/** What a device may meet, the best first; `accept` thrice, because a plain one is better than one with warnings. */
const FITS: readonly (readonly [codes: readonly ReasonCode[], verdict: Verdict])[] = [
	[[], "accept"],
	[["version.source_newer"], "accept"],
	[["attribute.info", "version.source_newer"], "accept"],
	[["override.used", "attribute.info"], "accept"],
	[["dynamic.set", "override.used"], "conditional"],
	[["opaque.differs"], "unknown"],
	[["type.mismatch"], "reject"],
];

describe("one device takes the best that there is", () => {
	const pairs = FITS.flatMap(([better, verdict], index) =>
		FITS.slice(index + 1).map(([worse]) => [better, verdict, worse] as const),
	).filter(([, verdict]) => verdict !== "reject");
	test.each(pairs)("%j (%s) rather than %j", (better, verdict, worse) => {
		const options = [option(W, worse, 9), option(X, better)];
		for (const order of [options, options.toReversed()]) {
			expect(settled({ s: order })).toEqual({ verdict, taken: { s: "X" }, left_out: [] });
		}
	});

	test("of two alike the one with more bugfixes", () => {
		const options = [option(W, [], 1), option(X, [], 3), option(Y, [], 2)];
		expect(settled({ s: options })).toMatchObject({ taken: { s: "X" } });
	});

	test("also where another device must make do with something doubtful", () => {
		const both = seat("both", 2);
		const certain = option(X, ["attribute.info", "version.source_newer"]);
		expect(settled({ s: [option(both, ["opaque.differs"]), certain], t: [option(both, ["opaque.differs"])] })).toEqual({
			verdict: "unknown",
			taken: { s: "X", t: "both" },
			left_out: [],
		});
	});
});

test("what the policy lets pass goes before what must be provisioned, which nobody may do", () => {
	const tolerated = option(X, ["declaration.none"]);
	const conditional = option(Y, ["dynamic.set"]);
	expect(settled({ s: [conditional, tolerated] })).toEqual({ verdict: "unknown", taken: { s: "X" }, left_out: [] });
	const two = { s: [conditional, tolerated], t: [option(Z, ["declaration.none"]), conditional] };
	expect(settled(two)).toEqual({ verdict: "unknown", taken: { s: "X", t: "Z" }, left_out: [] });
	const overridden = { s: [conditional, tolerated], t: [option(Z, ["override.used"]), tolerated] };
	expect(settled(overridden)).toEqual({ verdict: "unknown", taken: { s: "X", t: "Z" }, left_out: [] });
});

test("what somebody took upon himself is used for nobody, where warnings are enough for all", () => {
	const warned = (seat: Seat) => option(seat, ["version.source_newer"]);
	const wishes = { s: [warned(W), option(X, ["override.used"])], t: [warned(W), warned(Y)] };
	expect(settled(wishes)).toEqual({ verdict: "accept", taken: { s: "W", t: "Y" }, left_out: [] });
});

test("of what neither lets pass, what is known is the better verdict", () => {
	const [tolerated, conditional] = [option(X, ["declaration.none"]), option(Y, ["dynamic.set"])];
	const one = { s: [conditional, tolerated], t: [tolerated, option(Z, ["dynamic.set"])], u: [tolerated] };
	expect(settled(one)).toEqual({ verdict: "unknown", taken: { s: "Y", t: "Z", u: "X" }, left_out: [] });
	const two = { s: [tolerated, conditional], t: [option(Z, ["dynamic.set"])] };
	expect(settled({ ...two, u: [option(W), tolerated] })).toMatchObject({ taken: { t: "Z" } });
});

/** `a` goes from X to Y or Z to make room for `c`; `b` could leave Y for W, which is worse for it, and need not. */
const crowd = (codes: readonly ReasonCode[]) => ({
	a: [option(X), option(Y), option(Z)],
	b: [option(Y), option(W, codes)],
	c: [option(X)],
});
const best = { a: "Z", b: "Y", c: "X" };

describe("nothing doubtful as long as something certain is left", () => {
	test.each(FITS.slice(1, -1))("%j is not taken", (codes) => {
		expect(settled(crowd(codes))).toEqual({ verdict: "accept", taken: best, left_out: [] });
	});

	test("not even beside a device that wants something else, and is in doubt", () => {
		const wishes = { ...crowd(["opaque.differs"]), d: [option(seat("Q"), ["opaque.differs"])] };
		expect(settled(wishes)).toEqual({ verdict: "unknown", taken: { ...best, d: "Q" }, left_out: [] });
	});

	test("nor beside a device that fits nothing of it", () => {
		const wishes = { ...crowd(["opaque.differs"]), d: [option(X, ["type.mismatch"])] };
		expect(settled(wishes)).toEqual({ verdict: "reject", taken: best, left_out: ["d"] });
	});

	test("the verdict is the best of all ways to seat the devices, by enumeration", () => {
		const worstFirst: readonly Verdict[] = ["reject", "unknown", "conditional", "accept"];
		const seats = [seat("0"), seat("1"), seat("2", 2)];
		const wish = fc.tuple(...seats.map(() => fc.constantFrom(...FITS)));
		fc.assert(
			fc.property(fc.array(wish, { maxLength: 4 }), (wishes) => {
				/** The verdict when the devices from this one on are seated, with this room left. */
				const bestFrom = (device: number, room: readonly number[]): number => {
					const fits = wishes[device];
					if (fits === undefined) return worstFirst.length - 1;
					const ways = fits.map(([, verdict], index) =>
						Number(room[index]) === 0
							? 0
							: Math.min(
									worstFirst.indexOf(verdict),
									bestFrom(
										device + 1,
										room.map((left, at) => (at === index ? left - 1 : left)),
									),
								),
					);
					return Math.max(0, ...ways);
				};
				const { verdict } = settled(
					Object.fromEntries(
						wishes.map((fits, device) => [
							`s${device}`,
							seats.map((candidate, index) => option(candidate, fits[index]?.[0])),
						]),
					),
				);
				expect(verdict).toBe(worstFirst[bestFrom(0, [1, 1, 2])]);
			}),
			{ numRuns: 300 },
		);
	});
});
