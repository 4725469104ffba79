import { isOverridable } from "../compat/override.ts";
import { REASON_CODES } from "../compat/reason.ts";
import { familyOf } from "../compat/unknown.ts";
import { z } from "../zod.ts";

const MAX_HOURS = 24;

const CODES = Object.keys(REASON_CODES).filter(isOverridable);
const SCOPES = new Set([...CODES, ...CODES.map(familyOf)]);

const Text = z.string().regex(/^[\x20-\x7e]{1,200}$/, "expected 1 to 200 printable ASCII characters");
const Time = z.iso.datetime({ offset: true, error: "expected a time as 2026-08-21T14:00:00Z" });

/** Break-glass, for a day at most. What nobody may override is refused here, not ignored. */
export const Override = z
	.strictObject({
		author: Text,
		reason: Text,
		created: Time,
		expires: Time,
		scope: z
			.strictObject({
				source_host: Text.optional(),
				target_host: Text.optional(),
				device: Text.optional(),
				code: Text.refine((code) => SCOPES.has(code), {
					error: ({ input }) => `${JSON.stringify(input)} is not a reason code, or one that cannot be overridden`,
				}).optional(),
			})
			.refine((scope) => Object.keys(scope).length > 0, "expected a host, a device or a code: not everything at once"),
	})
	.superRefine(({ created, expires }, context) => {
		const hours = (Date.parse(expires) - Date.parse(created)) / 3_600_000;
		if (Number.isNaN(hours) || (hours > 0 && hours <= MAX_HOURS)) return;
		const message = `expires must be later than created, by at most ${MAX_HOURS} hours`;
		context.addIssue({ code: "custom", path: ["expires"], message });
	});
