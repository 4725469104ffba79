import { openSync, writeFileSync } from "node:fs";
import { CannotBeMadeAgain } from "../journal/cannot-be-made-again.ts";
import { entriesOf } from "../journal/entry.ts";
import { sealLine } from "../journal/line.ts";
import type { JournalEntry } from "../journal/reader.ts";
import { Pseudonyms } from "../recording/pseudonyms.ts";
import type { RecordedMessage } from "../recording/recording.ts";
import { complain } from "./complain.ts";
import { readJournals } from "./journals.ts";
import { ownerOnly } from "./owner-only.ts";
import { header, readRecordings } from "./recordings.ts";

export interface RecordOptions {
	readonly journal?: readonly string[];
	readonly share?: boolean;
	readonly output?: string;
}

const STDOUT = 1;

/**
 * `novacompat record`: makes one recording of captures, recordings and single messages, of which nothing is left but what is known
 * to be harmless, and adds from a journal what the decisions about their instances were made of, so that they can be made again.
 */
export function record(files: readonly string[], { journal = [], share = false, output }: RecordOptions): void {
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
	if (output !== undefined) ownerOnly(output);
	writeFileSync(output === undefined ? STDOUT : openSync(output, "w", 0o600), text);
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
	return `${JSON.stringify(line)}\n`;
}

/** The recording is made all the same, without what is damaged. */
function damaged(text: string): void {
	complain(text);
	process.exitCode = 1;
}
