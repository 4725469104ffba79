import type { Rule as RuleData } from "../compat/policy.ts";
import { z } from "../zod.ts";

const Name = z.string().min(1);
/** Of the calendar: no month has a day 32, and February not always a day 29. */
const Day = z.iso.date();

/** When something was looked up: a day, a month or a year. */
export const DateText = z
	.string()
	.refine((text) => /^\d{4}(-\d{2}){0,2}$/.test(text) && Day.safeParse(`${text}-01-01`.slice(0, 10)).success, {
		error: ({ input }) => `expected a date as 2026-08-21 or 2026-08, got ${JSON.stringify(input)}`,
	});

/** What every rule may have. */
const COMMON = {
	attribute: Name,
	severity: z.enum(["error", "warning", "off"]).optional(),
	source: Name.optional(),
	date: DateText.optional(),
};

/** The parameters of each rule kind; what they mean is in compat/policy.ts. */
const Kinds = z.discriminatedUnion("kind", [
	z.strictObject({ ...COMMON, kind: z.literal("equal") }),
	z.strictObject({ ...COMMON, kind: z.literal("version"), compare: z.enum(["stream", "major"]).optional() }),
	z
		.strictObject({
			...COMMON,
			kind: z.literal("one_of"),
			values: z.array(Name).min(1).optional(),
			lists: z.array(Name).min(1).optional(),
			settable: Name.optional(),
		})
		.refine(
			({ values, lists, settable }) => values === undefined || (lists === undefined && settable === undefined),
			"expected values or lists, not both",
		),
	z.strictObject({ ...COMMON, kind: z.literal("none_of"), values: z.array(Name).min(1) }),
	z.strictObject({
		...COMMON,
		kind: z.literal("superset"),
		target: Name.optional(),
		compare: z.enum(["superset", "exact"]).optional(),
	}),
	z.strictObject({ ...COMMON, kind: z.literal("mask_superset"), target: Name.optional() }),
	z.strictObject({ ...COMMON, kind: z.literal("mask_equal") }),
	z
		.strictObject({
			...COMMON,
			kind: z.literal("in_range"),
			min: Name.optional(),
			max: Name.optional(),
			range: Name.optional(),
		})
		.refine(
			({ min, max, range }) => (range === undefined) !== (min === undefined && max === undefined),
			"expected either range, or min, max or both",
		),
	z.strictObject({ ...COMMON, kind: z.literal("ignore") }),
	z.strictObject({ ...COMMON, kind: z.literal("info") }),
]);

export const Rule: z.ZodType<RuleData> = Kinds;
