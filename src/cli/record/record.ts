import { writeFileSync } from "node:fs";
import { CannotBeMadeAgain } from "../../journal/cannot-be-made-again.ts";
import { entriesOf } from "../../journal/entry.ts";
import { sealLine } from "../../journal/line.ts";
import type { JournalEntry } from "../../journal/reader.ts";
import { toJson } from "../../messaging/json.ts";
import { Pseudonyms } from "../../recording/pseudonyms.ts";
import type { RecordedMessage } from "../../recording/recording.ts";
import type { BusOptions } from "../bus.ts";
import { complain } from "../complain.ts";
import { UsageError } from "../exit-codes.ts";
import { readJournals } from "../journal/journals.ts";
import { ownerOnly } from "../owner-only.ts";
import { writeFile } from "../write-file.ts";
import { header, readRecordings } from "./recordings.ts";

export interface RecordOptions extends BusOptions {
	readonly journal?: readonly string[];
	readonly share?: boolean;
	readonly output?: string;
}

const STDOUT = 1;

/**
 * `novacompat record`: without files, of the bus; else makes one recording of captures, recordings and single messages, of which
 * nothing is left but what is known to be harmless, and adds from a journal what the decisions about their instances were made of, so
 * that they can be made again.
 */
export async function record(files: readonly string[], options: RecordOptions): Promise<void> {
	const { journal = [], share = false, output, ...bus } = options;
	if (files.length === 0) {
		if (share || journal.length > 0) throw new UsageError("which files? --share and --journal need what was recorded");
		return (await import("./record-bus.ts")).recordBus(options);
	}
	if (Object.keys(bus).length > 0)
		throw new UsageError(`files and a broker: expected one of them (${files.join(", ")})`);
	const { messages, entries } = readRecordings(files, damaged);
	const instances = new Set(messages.flatMap(({ message }) => instanceOf(message)));
	// A decision that no check came to is made of nothing but the message.
	const wanted = [...entries, ...readJournals(journal, "--journal", damaged)].filter(
		({ request, unchecked }) => !unchecked && instances.has(request.instance_uuid),
	);
	const lines: readonly object[] = [...messages.map(orderOf), ...journalLines(wanted)];
	const pseudonyms = new Pseudonyms();
	if (share) for (const line of lines) pseudonyms.learn(line);
	const written = [header(share), ...lines.map((line) => (share ? pseudonyms.applyTo(line) : line))];
	const text = written.map((line) => ("type" in line && line !== written[0] ? sealLine(line) : plain(line))).join("");
	if (output === undefined) return writeFileSync(STDOUT, text);
	ownerOnly(output);
	writeFile(output, text, 0o600);
}

/** As the tap of the service writes it. */
function orderOf({ time, exchange, routing_key, message }: RecordedMessage): object {
	return { ...(time !== undefined && { time }), exchange, routing_key, message };
}

/** Where both kinds of checks name the instance. */
function instanceOf(message: RecordedMessage["message"]): readonly unknown[] {
	const args = fieldsOf(message["args"]);
	const [instance, request] = [fieldsOf(args["instance"]), fieldsOf(args["request"])];
	return [fieldsOf(instance["nova_object.data"])["uuid"], instance["uuid"], request["instance_uuid"]];
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null ? { ...value } : {};
}

/** What is referred to first, each once. */
function journalLines(entries: readonly JournalEntry[]): readonly object[] {
	const lines: object[] = [];
	const written = new Set<string>();
	for (const entry of entries) {
		for (const line of linesOfEntry(entry)) {
			if ("digest" in line && written.has(line.digest)) continue;
			if ("digest" in line) written.add(line.digest);
			lines.push(line);
		}
	}
	return lines;
}

function linesOfEntry(entry: JournalEntry): ReturnType<typeof entriesOf> {
	const { time, basis, request, decision, duration_ms: duration, request_id, global_request_id, shadow } = entry;
	try {
		const options = { request_id, global_request_id };
		return entriesOf({ request, basis: basis(), decision, options, at: Date.parse(time), duration, shadow });
	} catch (error) {
		if (!(error instanceof CannotBeMadeAgain)) throw error;
		damaged(`left out: ${error.message}`);
		return [];
	}
}

function plain(line: object): string {
	return `${toJson(line)}\n`;
}

/** The recording is made all the same, without what is damaged. */
function damaged(text: string): void {
	complain(text);
	process.exitCode = 1;
}
