import { z } from "zod";

/** One recorded message: where it went and its fields, without the envelope. */
const Decoded = z.object({
	exchange: z.string(),
	routing_key: z.string(),
	message: z.record(z.string(), z.unknown()),
});

/** The same as the broker carried it, the message as text inside the envelope. */
const Raw = z
	.object({
		exchange: z.string(),
		routing_key: z.string(),
		body: z.object({ "oslo.message": z.string() }),
	})
	.transform(({ exchange, routing_key, body }) => ({
		exchange,
		routing_key,
		message: JSON.parse(body["oslo.message"]) as Record<string, unknown>,
	}));

const RecordedMessage = z.union([Decoded, Raw]);

export type RecordedMessage = z.infer<typeof Decoded>;

/** Reads a recording; throws when it has neither shape. */
export function readRecording(text: string): RecordedMessage {
	return RecordedMessage.parse(JSON.parse(text));
}
