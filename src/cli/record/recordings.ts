import { statSync } from "node:fs";
import { linesIn } from "../../journal/lines.ts";
import { type JournalEntry, JournalLines } from "../../journal/reader.ts";
import { reduceMessage } from "../../recording/allow-list.ts";
import { InvalidRecording } from "../../recording/invalid-recording.ts";
import { linesOf, type RecordedMessage, type RecordingLine, readLine } from "../../recording/recording.ts";

/** What files of recorded messages have; lines of a journal may be among them. */
export interface Recordings {
	readonly messages: readonly RecordedMessage[];
	readonly entries: readonly JournalEntry[];
	/** Ids in them are pseudonyms. */
	readonly shared: boolean;
}

/** The first line of what `novacompat record` writes. */
export const header = (shared: boolean) => ({ type: "recording", schema_version: "1.0", shared });

/**
 * Reads recordings, captures of RabbitMQ's firehose, single messages; throws InvalidRecording with `file:line`. Lines of ours that are
 * damaged are told, and left out.
 */
export function readRecordings(files: readonly string[], damaged: (text: string) => void): Recordings {
	const messages: RecordedMessage[] = [];
	const entries: JournalEntry[] = [];
	let shared = false;
	for (const file of files) {
		const journal = new JournalLines(damaged);
		if (statSync(file).isDirectory()) {
			throw new InvalidRecording(`${file}: is a directory, expected a file of recorded messages`);
		}
		for (const line of linesOf(textsIn(file), file)) {
			const type = typeOf(line);
			if (type === "recording") shared ||= isShared(line);
			else if (type !== undefined) {
				const entry = journal.read(Buffer.from(line.text), line.place);
				if (entry) entries.push(entry);
			} else {
				const message = messageOf(line, damaged);
				if (message) messages.push({ ...message, message: reduceMessage(message.message) });
			}
		}
	}
	return { messages, entries, shared };
}

function* textsIn(file: string): Generator<string, void, undefined> {
	for (const line of linesIn(file)) yield line.toString("utf8");
}

/** What the first line says, which tells the version too. */
function isShared({ text, place }: RecordingLine): boolean {
	const version = /"schema_version": ?("[^"]*")/.exec(text)?.[1] ?? "none";
	if (!/^"1\.\d+"$/.test(version)) {
		throw new InvalidRecording(`${place}: a recording of schema_version ${version}, expected 1.x`);
	}
	return /"shared": ?true/.test(text);
}

/** Those of our recordings begin with when the message came; the disk may have had no room for the end. */
function messageOf(line: RecordingLine, damaged: (text: string) => void): RecordedMessage | undefined {
	try {
		return readLine(line);
	} catch (error) {
		if (!(error instanceof InvalidRecording) || !line.text.startsWith('{"time":')) throw error;
		damaged(`${line.place}: the line is cut off, or was changed`);
		return undefined;
	}
}

/** Other lines of ours begin with what they are. */
function typeOf({ text }: RecordingLine): string | undefined {
	return /^\{"type": ?"([a-z]+)"/.exec(text)?.[1];
}
