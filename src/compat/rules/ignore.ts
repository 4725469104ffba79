import type { Reason } from "../reason.ts";

/** Nothing to say: the operator knows that the attribute does not matter. */
export function ignore(): readonly Reason[] {
	return [];
}
