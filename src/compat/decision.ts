import { digest } from "./digest.ts";
import type { Policy } from "./policy.ts";
import { REASON_CODES, type Reason, ranked, type Verdict } from "./reason.ts";
import { shortText } from "./short-text.ts";
import { isTolerated } from "./unknown.ts";

/** The answer to Nova's question; everything that a person or Nova can see is a rendering of it. */
export interface Decision {
	/** Names the decision in logs, texts and replies: the same question gives the same id. */
	readonly id: string;
	readonly verdict: Verdict;
	/** The verdict after the policy: the only thing that Nova's hook looks at. */
	readonly allowed: boolean;
	/** Device id -> candidate id, the shape of Nova's `target_mdevs`; empty unless every device has a candidate. */
	readonly mapping: Readonly<Record<string, string>>;
	/** Errors first, the decisive one before all others; then warnings; every one of them. */
	readonly reasons: readonly Reason[];
	/** The decision in at most 228 ASCII characters, the id last: for columns of Nova that hold 255 bytes. */
	readonly text: string;
}

/** A decision from its verdict and reasons. `question` is what it follows from, and only looked at for the id. */
export function conclude(
	verdict: Verdict,
	reasons: readonly Reason[],
	policy: Policy,
	question: unknown,
	mapping: Decision["mapping"] = {},
): Decision {
	const allowed = allows(policy, verdict, reasons);
	const id = digest([question, verdict, allowed]);
	const all = ranked(reasons);
	return { id, verdict, allowed, mapping, reasons: all, text: shortText(verdict, all, id) };
}

/** The same decision, which says in addition what it was made of; that changes nothing about it. */
export function annotate<T extends Decision>(decision: T, notes: readonly Reason[]): T {
	if (notes.length === 0) return decision;
	const reasons = ranked([...decision.reasons, ...notes]);
	return { ...decision, reasons, text: shortText(decision.verdict, reasons, decision.id) };
}

/**
 * What a verdict means for Nova. Where something must be provisioned first the migration is not allowed, because Nova itself
 * provisions nothing: whoever does may ask again afterwards.
 */
export function allows(policy: Policy, verdict: Verdict, reasons: readonly Reason[]): boolean {
	if (verdict !== "unknown") return verdict === "accept";
	if (reasons.some(({ code }) => REASON_CODES[code] === "obligation")) return false;
	const errors = reasons.filter(({ severity }) => severity === "error");
	const isExplained = errors.length > 0 || reasons.some(({ code }) => code === "override.used");
	return isExplained && errors.every((error) => isTolerated(error, policy));
}
