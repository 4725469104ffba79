import { type Command, InvalidArgumentError, Option } from "commander";
import { VERDICT_ORDER } from "../compat/settle.ts";
import { DEFAULT_JOURNAL_DIR } from "../journal/files.ts";
import { busOptions } from "./bus-options.ts";
import { URL_VARIABLE } from "./environment.ts";
import { collect, outputOptions, repeatable } from "./output-options.ts";

/** What can be done with what was decided before. */
export function addJournalCommands(program: Command): void {
	const journal = program.command("journal").description("read what `serve` has decided, and from what");

	readingOptions(journal.command("list"))
		.description("a decision on a line, the last one last")
		.addOption(sinceOption())
		.option("--instance <uuid>", "of this instance; the beginning of the uuid will do")
		.option("--host <name>", "from or to this host")
		.addOption(new Option("--verdict <verdict...>", "of such a verdict").choices(VERDICT_ORDER))
		.action(async (options) => (await import("./journal/journal.ts")).journalList(options));

	readingOptions(journal.command("report"))
		.description("how often `serve` in the shadow and Nova came to the same, and what would be refused in mode enforce")
		.addOption(sinceOption())
		.option("--host <name>", "from or to this host")
		.action(async (options) => (await import("./journal/journal.ts")).journalReport(options));

	readingOptions(journal.command("show <id>"), REPEATABLE)
		.description("one decision with all that was looked at, by its id or request id")
		.action(async (id, options) => (await import("./journal/journal.ts")).journalShow(id, options));

	readingOptions(journal.command("why [instance]"), REPEATABLE)
		.description("what was decided about an instance, or with --since about all of them, and every reason")
		.addOption(sinceOption())
		.action(async (instance, options) => (await import("./journal/journal.ts")).journalWhy(instance, options));

	busOptions(program.command("record [file...]"))
		.description(
			"write down what passes on the bus, or make one recording of captures, recordings and single messages; of what is known to be harmless in them",
		)
		.addOption(repeatable("--journal <path>", "add what the decisions were made of, so that they can be made again"))
		.option("--share", "put pseudonyms in the place of every UUID, and of ids of projects, users and messages")
		.option("--output <file>", "where to (default: standard output)")
		.addHelpText(
			"after",
			`
Without files it listens in on the bus until SIGINT or SIGTERM, and takes nothing from anybody; nobody's replies pass there.
Exit codes: 0 written, 1 written, but a file that was read is damaged, 64 usage, 78 configuration, 255 bug.`,
		)
		.action(async (files, options) => (await import("./record/record.ts")).record(files, options));

	program
		.command("replay <file...>")
		.description("send recorded requests again, and compare what they get with what they got")
		.addOption(repeatable("--journal <path>", "what was known then; a recording may have it already"))
		.addOption(repeatable("--hosts <path>", "snapshot files or host trees, for what no journal knows"))
		.option("--policy <file>", "policy (default: that of the journal, else the built-in one)")
		.addOption(
			new Option("--live", `send them to the service on the broker of the variable ${URL_VARIABLE}`).conflicts([
				"transportUrl",
				"novaConf",
				"configFile",
				"configDir",
			]),
		)
		.option("--transport-url <url>", "send them to the service on this broker; one with a password in the variable")
		.addOption(repeatable("--nova-conf <file>", "take the broker from nova.conf, as `serve` does"))
		.option("--config-file <file>", "take the broker from a configuration of `serve`; may be repeated", collect)
		.option("--config-dir <dir>", "... from the files *.yaml in it", collect)
		.option("--rate <number>", "requests a second (default: as fast as it goes)", positive)
		.option("--concurrency <number>", "requests under way at once", count, 1)
		.option("--timeout <seconds>", "how long to wait for a reply", positive, 60)
		.option("--junit <file>", "write the result as JUnit XML")
		.option("--output <file>", "write each reply as it came, one on a line, to compare bytes")
		.addHelpText(
			"after",
			"\nWithout a broker the service runs in this process. Exit codes: 0 everything as recorded, 1 something differs, nothing could\nbe compared, or the journal is damaged, 64 usage, 75 no connection to the broker, 78 the configuration or policy\ncannot be used, 255 bug.",
		)
		.action(async (files, options) => {
			process.exitCode = await (await import("./replay/replay.ts")).replay(files, options);
		});
}

function positive(text: string): number {
	const value = Number(text);
	if (value > 0 && value <= 86_400) return value;
	throw new InvalidArgumentError("Expected a number up to 86400.");
}

function count(text: string): number {
	if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
	throw new InvalidArgumentError("Expected a number from 1 to 9999.");
}

const DIRECTORY = "journal, or some of its files";
const MANY = new Option("--directory <path...>", DIRECTORY).default([DEFAULT_JOURNAL_DIR]);
/** Where an argument may follow. */
const REPEATABLE = repeatable("--directory <path>", DIRECTORY, [DEFAULT_JOURNAL_DIR]);

function readingOptions(command: Command, directory = MANY): Command {
	return outputOptions(command)
		.addOption(directory)
		.addHelpText("after", "\nExit codes: 0 good, 1 something in the journal is damaged, 64 usage, 255 bug.");
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
