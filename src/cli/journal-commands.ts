import { type Command, InvalidArgumentError, Option } from "commander";
import { DEFAULT_JOURNAL_DIR } from "../journal/files.ts";

/** What can be done with what was decided before. */
export function addJournalCommands(program: Command): void {
	const journal = program.command("journal").description("read what `serve` has decided, and from what");

	readingOptions(journal.command("list"))
		.description("a decision on a line, the last one last")
		.addOption(sinceOption())
		.option("--instance <uuid>", "of this instance; the beginning of the uuid will do")
		.option("--host <name>", "from or to this host")
		.option("--verdict <verdict...>", "accept, conditional, reject or unknown")
		.action(async (options) => (await import("./journal.ts")).journalList(options));

	readingOptions(journal.command("show <id>"))
		.description("one decision with all that was looked at, by its id or request id")
		.action(async (id, options) => (await import("./journal.ts")).journalShow(id, options));

	readingOptions(journal.command("why <instance>"))
		.description("what was decided about an instance, and every reason")
		.addOption(sinceOption())
		.action(async (instance, options) => (await import("./journal.ts")).journalWhy(instance, options));
}

function readingOptions(command: Command): Command {
	return command
		.option("--directory <path...>", "journal, or some of its files", [DEFAULT_JOURNAL_DIR])
		.addOption(formatOption())
		.addHelpText("after", "\nExit codes: 0 good, 1 something in the journal is damaged, 64 usage, 255 bug.");
}

function formatOption(): Option {
	return new Option("--format <format>", "output").choices(["table", "json"]).default("table");
}

function sinceOption(): Option {
	return new Option("--since <time>", "30m, 2h or 7d ago, or 2026-08-21T14:00:00Z").argParser(sinceTime);
}

const UNITS = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds since 1970. */
function sinceTime(text: string): number {
	const [, count, unit] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
	if (count !== undefined) return Date.now() - Number(count) * UNITS[unit as keyof typeof UNITS];
	const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
	if (!Number.isNaN(time)) return time;
	throw new InvalidArgumentError("Expected 30m, 2h, 7d or a time as 2026-08-21T14:00:00Z.");
}
