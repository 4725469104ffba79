import { existsSync } from "node:fs";
import { type JournalEntry, readJournal } from "../../journal/reader.ts";
import { UsageError } from "../exit-codes.ts";

/** The decisions of journals, see `readJournal`; where one is named that is not there, throws UsageError. `option`: what named them. */
export function* readJournals(
	paths: readonly string[],
	option: "--directory" | "--journal",
	damaged: (text: string) => void,
): Generator<JournalEntry, void, undefined> {
	for (const path of paths) {
		if (existsSync(path)) continue;
		throw new UsageError(
			`${path}: there is no journal; \`journal\` in the configuration of serve makes one, and ${option} says where it is`,
		);
	}
	yield* readJournal(paths, damaged);
}
