import type { Log } from "../log.ts";
import { sparing } from "../sparing.ts";
import type { ChannelModel } from "./rabbit.ts";

/** A part of amqplib's connections: the bytes that are not read yet, and what reads a frame from their start (lib/connection.js). */
interface Receiving {
	rest: Buffer;
	maxFrameSize: number;
	recvFrame(): unknown;
}

/** amqplib calls itself for each level. Nobody who sends us anything needs a second one. */
const MAX_DEPTH = 64;

/**
 * Bytes of a frame. Headers are in one always, longer than what was agreed on: those of who has agreed to more, and those to which the
 * broker has added its own.
 */
const LARGEST_FRAME = 1_048_576;
/** To amqplib. */
const NO_LIMIT = 0;

const HEADER_FRAME = 2;
const FRAME_END = 0xce;
/** What is where in a frame of any kind, and in that of a header: its flags say which properties follow. */
const [SIZE_AT, PAYLOAD_AT, FLAGS_AT, PROPERTIES_AT] = [3, 7, 19, 21];
const [CONTENT_TYPE, CONTENT_ENCODING, HEADERS] = [0x8000, 0x4000, 0x2000];

/** Bytes of what stands before a text, a table or an array, and tells its own. */
const LENGTH = 4;
/** Bytes of a value, of the types that amqplib knows (lib/codec.js). */
const SIZES: ReadonlyMap<number, number> = new Map(
	Object.entries({ V: 0, b: 1, B: 1, t: 1, s: 2, u: 2, I: 4, i: 4, f: 4, D: 5, T: 8, d: 8, l: 8 }).map(
		([type, size]) => [type.charCodeAt(0), size] as const,
	),
);
const [TABLE, ARRAY] = ["F".charCodeAt(0), "A".charCodeAt(0)];
const COUNTED: ReadonlySet<number> = new Set(["S", "x", "F", "A"].map((type) => type.charCodeAt(0)));

/**
 * Takes its properties from a message with headers that are too long, or that amqplib cannot decode: it would give the connection up,
 * and the broker would hand the message out again on the next one, for ever. To be called once the connection is open: before that,
 * whatever is larger than was agreed on is from something else on the port.
 */
export function limitHeaders({ connection }: Pick<ChannelModel, "connection">, log: Pick<Log, "warning">): void {
	const warn = sparing((text) => log.warning(text));
	const receiving = connection as unknown as Receiving;
	const receive = receiving.recvFrame.bind(connection);
	/** Bytes of a frame of which the beginning is read. */
	let left = 0;
	receiving.recvFrame = () => {
		const skipped = Math.min(left, receiving.rest.length);
		left -= skipped;
		const rest = receiving.rest.subarray(skipped);
		receiving.rest = rest;
		const isHeader = rest[0] === HEADER_FRAME;
		receiving.maxFrameSize = isHeader ? NO_LIMIT : LARGEST_FRAME;
		if (isHeader && isTooLong(rest)) {
			left = frameLength(rest) - PROPERTIES_AT;
			receiving.rest = Buffer.concat([withoutProperties(rest), rest.subarray(PROPERTIES_AT)]);
			warn("taking a message without its properties: its headers are too long");
		} else if (isHeader && isWhole(rest) && !hasReadableHeaders(rest)) {
			rest.writeUInt16BE(0, FLAGS_AT);
			warn("taking a message without its properties: its headers are nested too deep, or cannot be read");
		}
		return receive();
	};
}

function frameLength(frame: Buffer): number {
	return PAYLOAD_AT + frame.readUInt32BE(SIZE_AT) + 1;
}

function isTooLong(frame: Buffer): boolean {
	return frame.length >= PROPERTIES_AT && frame.readUInt32BE(SIZE_AT) > LARGEST_FRAME;
}

/** The whole frame, of the beginning of one. */
function withoutProperties(frame: Buffer): Buffer {
	const start = Buffer.from(frame.subarray(0, PROPERTIES_AT));
	start.writeUInt32BE(PROPERTIES_AT - PAYLOAD_AT, SIZE_AT);
	start.writeUInt16BE(0, FLAGS_AT);
	return Buffer.concat([start, Buffer.from([FRAME_END])]);
}

function isWhole(frame: Buffer): boolean {
	return frame.length >= PROPERTIES_AT && frame.length >= frameLength(frame) - 1;
}

function hasReadableHeaders(frame: Buffer): boolean {
	const flags = frame.readUInt16BE(FLAGS_AT);
	if (!(flags & HEADERS)) return true;
	const properties = frame.subarray(PROPERTIES_AT, PAYLOAD_AT + frame.readUInt32BE(SIZE_AT));
	let at = 0;
	for (const text of [CONTENT_TYPE, CONTENT_ENCODING]) if (flags & text) at += 1 + (properties[at] ?? 0);
	if (at + LENGTH > properties.length) return false;
	const end = at + LENGTH + properties.readUInt32BE(at);
	return end <= properties.length && isReadable(properties.subarray(at + LENGTH, end));
}

/** Without calling itself: how deep it goes is not ours to choose. */
function isReadable(table: Buffer): boolean {
	const open = [{ end: table.length, hasNames: true }];
	let at = 0;
	for (let inner = open.at(-1); inner; inner = open.at(-1)) {
		if (at === inner.end) {
			open.pop();
			continue;
		}
		if (inner.hasNames) at += 1 + (table[at] ?? 0);
		const type = table[at++] ?? 0;
		const size = SIZES.get(type);
		if (size !== undefined) at += size;
		else {
			if (!COUNTED.has(type) || at + LENGTH > inner.end) return false;
			const end = at + LENGTH + table.readUInt32BE(at);
			if (end > inner.end) return false;
			const isNested = type === TABLE || type === ARRAY;
			if (isNested && open.push({ end, hasNames: type === TABLE }) > MAX_DEPTH) return false;
			at = isNested ? at + LENGTH : end;
		}
		if (at > inner.end) return false;
	}
	return true;
}
