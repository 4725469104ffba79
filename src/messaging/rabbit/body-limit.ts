import type { Channel, ConsumeMessage } from "./rabbit.ts";

/** A frame as amqplib has it: a header tells the properties of a message and the size of its body, which then comes in pieces. */
type Frame = { readonly size: number; readonly fields: object } | { readonly content: Buffer } | object;

/** The method of amqplib's channels that collects the frames of a message (lib/channel.js). */
interface Collecting {
	acceptMessageFrame(frame: Frame): void;
}

/**
 * Throws a body away, piece by piece, that is larger than `limit` bytes: amqplib would collect all of it before it shows
 * anything. Such a message arrives with an empty body; the function returned tells what size it had.
 */
export function limitBodies(channel: Channel, limit: number): (message: ConsumeMessage) => number | undefined {
	const sizes = new WeakMap<object, number>();
	const collecting = channel as unknown as Collecting;
	const accept = collecting.acceptMessageFrame.bind(channel);
	let left = 0;
	collecting.acceptMessageFrame = (frame) => {
		if ("content" in frame && left > 0) left -= frame.content.length;
		else if ("size" in frame && frame.size > limit) {
			left = frame.size;
			sizes.set(frame.fields, frame.size);
			accept({ ...frame, size: 0 });
		} else accept(frame);
	};
	return ({ properties }) => sizes.get(properties);
}
