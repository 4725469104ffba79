import { REASON_CODES } from "../compat/reason.ts";
import { familyOf, STALE_CAUSES, TAMPERING } from "../compat/unknown.ts";
import { z } from "../zod.ts";

const CODES = Object.entries(REASON_CODES).flatMap(([code, family]) => (family === "unknown" ? [code] : []));
const KEYS = new Set(["*", ...CODES, ...CODES.map(familyOf)]);
const STALE_KEYS = new Set(["*", ...STALE_CAUSES, ...[...STALE_CAUSES].map(familyOf)]);

/** What unknown maps to: one word for everything, or one for each reason code, family (`agent.*`) and the rest (`*`). */
export const Unknown = z.preprocess(
	(given) => (typeof given === "string" ? { "*": given } : given),
	z.record(z.string(), z.enum(["reject", "accept", "accept_stale"])).superRefine((mapping, context) => {
		for (const [key, verdict] of Object.entries(mapping)) {
			const problem = !KEYS.has(key)
				? `${JSON.stringify(key)} is not the code of an unknown reason, a family such as agent.*, or *`
				: TAMPERING.has(key) && verdict !== "reject"
					? `${key} is never accepted: somebody may be lying about a host`
					: verdict === "accept_stale" && !STALE_KEYS.has(key)
						? `no older snapshot helps against ${key}: accept_stale is for ${[...STALE_KEYS].join(", ")}`
						: undefined;
			if (problem) context.addIssue({ code: "custom", path: [key], message: problem });
		}
	}),
);
