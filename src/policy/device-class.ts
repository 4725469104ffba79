import { DEVICE_KINDS } from "../compat/device.ts";
import type { DeviceClass as DeviceClassData } from "../compat/policy.ts";
import { z } from "../zod.ts";
import { DateText, Rule } from "./rule.ts";
import { Unknown } from "./unknown.ts";

const Name = z.string().min(1);
const Patterns = z.preprocess((given) => (typeof given === "string" ? [given] : given), z.array(Name).min(1));

const Match = z.record(Name, Patterns).superRefine(({ kind = [] }, context) => {
	const known: readonly string[] = DEVICE_KINDS;
	for (const one of kind.filter((pattern) => !known.includes(pattern))) {
		const message = `${JSON.stringify(one)} is no kind of device, expected ${known.join(", ")}`;
		context.addIssue({ code: "custom", path: ["kind"], message });
	}
});

const Class = z
	.strictObject({
		name: z.string().regex(/^[a-z0-9][a-z0-9_-]*$/, "expected lower-case letters, digits, - and _"),
		match: Match,
		migration: z.literal("known").optional(),
		refuse: z.strictObject({ message: Name }).optional(),
		source: Name.optional(),
		date: DateText.optional(),
		unknown: Unknown.optional(),
		rules: z.array(Rule).default([]),
	})
	.refine(({ migration, refuse }) => migration === undefined || refuse === undefined, {
		message: "a class whose migration is known cannot be refused",
		path: ["refuse"],
	});

/** The classes in order; a name stands for one class only, because reasons and reports name it. */
export const DeviceClasses: z.ZodType<readonly DeviceClassData[]> = z.array(Class).superRefine((classes, context) => {
	for (const [index, { name }] of classes.entries()) {
		if (classes.findIndex((other) => other.name === name) === index) continue;
		const message = `the class ${JSON.stringify(name)} is there twice`;
		context.addIssue({ code: "custom", path: [index, "name"], message });
	}
});
