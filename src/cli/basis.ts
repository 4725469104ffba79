import { CannotBeMadeAgain } from "../journal/cannot-be-made-again.ts";
import type { JournalEntry } from "../journal/reader.ts";
import type { Basis } from "../precheck.ts";
import { complain } from "./complain.ts";

/** What a decision of a journal was made of; undefined where it cannot be made again, which is told on standard error. */
export function basisOf({ basis }: JournalEntry): Basis | undefined {
	try {
		return basis();
	} catch (error) {
		if (!(error instanceof CannotBeMadeAgain)) throw error;
		complain(error.message);
		return undefined;
	}
}
