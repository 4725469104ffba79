import { CannotBeMadeAgain } from "../../journal/cannot-be-made-again.ts";
import type { JournalEntry } from "../../journal/reader.ts";
import type { Basis } from "../../precheck.ts";
import { complain } from "../complain.ts";
import { counted } from "../counting.ts";

/** What of journals and recordings cannot be used: told on standard error, each once, and counted. */
export class Damage {
	readonly #told = new Set<string>();
	#lines = 0;
	#decisions = 0;

	/** Takes `file:line: what is wrong`. */
	readonly line = (text: string): void => {
		if (this.#tell(text)) this.#lines++;
	};

	/** What a decision was made of; undefined where it cannot be made again. One that no check came to is told, and is no damage. */
	readonly basisOf = ({ basis, unchecked }: JournalEntry): Basis | undefined => {
		try {
			return basis();
		} catch (error) {
			if (!(error instanceof CannotBeMadeAgain)) throw error;
			if (this.#tell(error.message) && !unchecked) this.#decisions++;
			return undefined;
		}
	};

	/** `2 lines are damaged`, and the like. */
	get problems(): readonly string[] {
		const lines = counted(this.#lines, "line is damaged", "lines are damaged");
		const decisions = `${counted(this.#decisions, "decision")} of the journal cannot be made again`;
		return [...(this.#lines > 0 ? [lines] : []), ...(this.#decisions > 0 ? [decisions] : [])];
	}

	#tell(text: string): boolean {
		if (this.#told.has(text)) return false;
		this.#told.add(text);
		complain(text);
		return true;
	}
}
