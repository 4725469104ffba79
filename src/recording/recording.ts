import { parseJson } from "../messaging/json.ts";
import { z } from "../zod.ts";
import { InvalidRecording } from "./invalid-recording.ts";

/** One recorded message: where it went and its fields, without the envelope. A reply goes to its queue on exchange "". */
const Decoded = z.object({
	time: z.string().optional(),
	exchange: z.string(),
	routing_key: z.string(),
	message: z.record(z.string(), z.unknown()),
});

const Envelope = z.object({ "oslo.message": z.string() });

/** The same as the broker carried it, the message as text inside the envelope. */
const Raw = z
	.object({ exchange: z.string(), routing_key: z.string(), body: Envelope })
	.transform(({ exchange, routing_key, body }) => ({ exchange, routing_key, message: fieldsOf(body["oslo.message"]) }));

/**
 * What RabbitMQ's firehose tells of a message (`amq.rabbitmq.trace`): `routing_keys` as its header has them, `t` in
 * seconds since 1970, `body` as text. It tells of each message twice.
 */
const Firehose = z
	.object({
		t: z.number(),
		event: z.enum(["publish", "deliver"]),
		exchange: z.string(),
		routing_keys: z.tuple([z.string()], z.string()),
		body: z.string(),
	})
	.transform(({ t, event, exchange, routing_keys: [routing_key], body }) => {
		if (event === "deliver") return undefined;
		const { "oslo.message": message } = Envelope.parse(parseJson(body));
		return { time: new Date(t * 1000).toISOString(), exchange, routing_key, message: fieldsOf(message) };
	});

const RecordedLine = z.union([Decoded, Raw, Firehose]);

export type RecordedMessage = z.infer<typeof Decoded>;

/** Reads the recording of one message; throws when it has neither shape. */
export function readRecording(text: string): RecordedMessage {
	return z.union([Decoded, Raw]).parse(parseJson(text));
}

/** A line of a recording; or its whole text, where that is one message on many lines. */
export interface RecordingLine {
	readonly text: string;
	/** `file:line`. */
	readonly place: string;
}

/** `lines`: of the file, without their ends. */
export function* linesOf(lines: Iterable<string>, file: string): Generator<RecordingLine, void, undefined> {
	const whole: string[] = [];
	let number = 0;
	for (const text of lines) {
		number++;
		if (whole.length > 0 || (number === 1 && /^\s*\{\s*$/.test(text))) whole.push(text);
		else if (text.trim() !== "") yield { text, place: `${file}:${number}` };
	}
	if (whole.length > 0) yield { text: whole.join("\n"), place: `${file}:1` };
}

/** The message of a line; none where it is told a second time. Throws InvalidRecording. */
export function readLine({ text, place }: RecordingLine): RecordedMessage | undefined {
	try {
		return RecordedLine.parse(parseJson(text));
	} catch (cause) {
		const expected = "expected exchange, routing_key and message, or a message of RabbitMQ's firehose";
		throw new InvalidRecording(`${place}: no recorded message, ${expected}`, { cause });
	}
}

function fieldsOf(text: string): Record<string, unknown> {
	return z.record(z.string(), z.unknown()).parse(parseJson(text));
}
