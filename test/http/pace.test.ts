import { expect, test } from "vitest";
import { MAX_PER_SECOND, Pace } from "../../src/http/pace.ts";

/** How many of so many requests of an address are too many. */
const refused = (pace: Pace, address: string, count: number) =>
	Array.from({ length: count }, () => pace.isExceeded(address)).filter(Boolean).length;

test("so many of an address are answered in a second, and no more", () => {
	expect(refused(new Pace(MAX_PER_SECOND, () => 0), "a", MAX_PER_SECOND + 7)).toBe(7);
});

test("an address that floods takes nothing from others", () => {
	const pace = new Pace(MAX_PER_SECOND, () => 0);
	refused(pace, "a", 10 * MAX_PER_SECOND);
	expect(refused(pace, "b", MAX_PER_SECOND)).toBe(0);
});

test("the next second is another one", () => {
	let now = 1_999;
	const pace = new Pace(MAX_PER_SECOND, () => now);
	expect(refused(pace, "a", MAX_PER_SECOND + 1)).toBe(1);
	now = 2_000;
	expect(refused(pace, "a", MAX_PER_SECOND)).toBe(0);
});
