import { DamagedLine } from "../journal/line.ts";
import type { JournalEntry } from "../journal/reader.ts";
import type { Basis } from "../precheck.ts";
import { complain } from "./complain.ts";

/** What a decision of a journal was made of; undefined where that is damaged, which is told on standard error. */
export function basisOf({ basis }: JournalEntry): Basis | undefined {
	try {
		return basis();
	} catch (error) {
		if (!(error instanceof DamagedLine)) throw error;
		complain(error.message);
		return undefined;
	}
}
