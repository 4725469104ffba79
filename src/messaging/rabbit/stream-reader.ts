import type { Channel, ConsumeMessage } from "./rabbit.ts";
import type { Consume } from "./topology.ts";

/** In which a stream would have handed out again what we have read last. */
const SILENCE_MS = 5_000;

interface Handlers {
	/** Gets each message once, and null when the broker cancels the consumer. */
	readonly take: (message: ConsumeMessage | null) => void;
	/** Gets what was read before. */
	readonly skip: (message: ConsumeMessage) => void;
}

/**
 * Reads a stream, and goes on where it was when it is set up again. Python asks for the offset behind its last message
 * (`next_stream_offset` of Consumer in oslo_messaging/_drivers/impl_rabbit.py); of a stream that was deleted and made again meanwhile
 * RabbitMQ then hands out nothing until it has grown beyond. So we ask for that last message once more: a stream without it is another
 * one, of which we have read nothing.
 */
export class StreamReader {
	#last: { readonly offset: number; readonly body: Buffer } | undefined;
	/** Where to begin when nothing was read. */
	#from: "last" | "first" = "last";

	/** Aborts `lost` when the stream turns out to be another one. */
	async consume(channel: Channel, step: Consume, { take, skip }: Handlers, lost: AbortController): Promise<void> {
		const known = this.#last;
		const isAnother = () => {
			this.#last = undefined;
			this.#from = "first";
			lost.abort(new Error(`the stream ${step.queue} was made again: reading it from its beginning`));
		};
		let isSilent = true;
		let silence: NodeJS.Timeout | undefined;
		const read = (message: ConsumeMessage | null) => {
			if (message === null) return take(null);
			// It comes again, and where we are must not move past it.
			if (lost.signal.aborted) return;
			const offset = offsetOf(message);
			const isAsked = isSilent && known !== undefined && offset === known.offset;
			isSilent = false;
			clearTimeout(silence);
			if (isAsked) return known.body.equals(message.content) ? skip(message) : isAnother();
			if (offset !== undefined) this.#last = { offset, body: message.content };
			take(message);
		};
		const from = { "x-stream-offset": known?.offset ?? this.#from };
		await channel.consume(step.queue, read, { consumerTag: step.tag, arguments: { ...step.arguments, ...from } });
		if (known === undefined || !isSilent || lost.signal.aborted) return;
		silence = setTimeout(isAnother, SILENCE_MS);
		lost.signal.addEventListener("abort", () => clearTimeout(silence));
	}
}

export function isStream({ arguments: args }: Consume): boolean {
	return "x-stream-offset" in args;
}

function offsetOf({ properties }: ConsumeMessage): number | undefined {
	const offset: unknown = properties.headers?.["x-stream-offset"];
	return typeof offset === "number" && Number.isSafeInteger(offset) && offset >= 0 ? offset : undefined;
}
