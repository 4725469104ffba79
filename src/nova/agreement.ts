import type { Decision } from "../compat/decision.ts";
import type { Verdict } from "../compat/reason.ts";
import type { Outcome } from "../precheck.ts";

interface Labels {
	readonly verdict: Verdict;
	/** What the policy makes of the verdict: the answer that Nova would have got. */
	readonly allowed: boolean;
	readonly outcome: Outcome;
	/** Whether it is about the devices that Nova has chosen, and not about any that would do. */
	readonly exact: boolean;
}

/** How often we and Nova came to the same: numbers alone, by labels that have a few dozen combinations. */
export class Agreement {
	readonly #counts = new Map<string, Labels & { readonly count: number }>();

	add({ verdict, allowed }: Pick<Decision, "verdict" | "allowed">, outcome: Outcome, exact = false): void {
		const key = `${verdict} ${allowed} ${outcome} ${exact}`;
		const count = (this.#counts.get(key)?.count ?? 0) + 1;
		this.#counts.set(key, { verdict, allowed, outcome, exact, count });
	}

	/** Every combination that has occurred, for a page of metrics. */
	samples(): readonly (Labels & { readonly count: number })[] {
		return [...this.#counts.values()];
	}

	/** The same for an operator who wonders whether to let Nova obey. */
	summary(): string {
		const count = (wanted: Partial<Labels>) => this.#count(wanted);
		const first = { exact: false };
		const agreed =
			count({ ...first, allowed: true, outcome: "accepted" }) + count({ ...first, allowed: false, outcome: "refused" });
		const rejected = { ...first, allowed: false, outcome: "accepted" } as const;
		const exact = count({ exact: true });
		return [
			`${count(first)} checks: agreed with Nova on ${agreed}`,
			`would have rejected ${count(rejected)} that Nova accepted (${count({ ...rejected, verdict: "unknown" })} of them unknown)`,
			`would have accepted ${count({ ...first, allowed: true, outcome: "refused" })} that Nova refused`,
			`outcome not seen of ${count({ ...first, outcome: "unseen" })}`,
			`with the devices that Nova chose: ${count({ exact: true, allowed: true })} of ${exact} accepted`,
		].join("; ");
	}

	#count(wanted: Partial<Labels>): number {
		return this.samples()
			.filter((sample) => Object.entries(wanted).every(([label, value]) => sample[label as keyof Labels] === value))
			.reduce((sum, sample) => sum + sample.count, 0);
	}
}
