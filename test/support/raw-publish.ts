import type { Channel } from "amqplib";

/** What amqplib's types leave out. */
interface Raw {
	readonly ch: number;
	readonly connection: { readonly stream: { write(bytes: Buffer): void } };
}

/** So many arrays, one in the other, as they are on the wire. */
export function nested(depth: number): Buffer {
	const levels = Array.from({ length: depth }, (_, inner) => Buffer.concat([Buffer.from("A"), uint32(inner * 5)]));
	return Buffer.concat(levels.reverse());
}

/**
 * Publishes `{}` with one AMQP header, whose value is given as it is on the wire: amqplib writes neither one that is nested
 * that deep nor one of every type. Not on a channel with confirms, which would count one too few.
 */
export function publishRaw(
	channel: Channel,
	to: { readonly exchange: string; readonly key: string },
	header: Buffer,
): void {
	const { ch, connection } = channel as unknown as Raw;
	const frame = (type: number, payload: Buffer) =>
		Buffer.concat([Buffer.from([type, 0, ch]), uint32(payload.length), payload, Buffer.from([0xce])]);
	const table = Buffer.concat([short("h"), header]);
	const method = [Buffer.from([0, 60, 0, 40, 0, 0]), short(to.exchange), short(to.key), Buffer.from([0])];
	const properties = [short("application/json"), uint32(table.length), table];
	const start = Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xa0, 0]);
	const frames = [
		frame(1, Buffer.concat(method)),
		frame(2, Buffer.concat([start, ...properties])),
		frame(3, Buffer.from("{}")),
	];
	connection.stream.write(Buffer.concat(frames));
}

function uint32(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(value);
	return bytes;
}

function short(text: string): Buffer {
	return Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
}
