import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { expect, test } from "vitest";
import { limitHeaders } from "../../../src/messaging/rabbit/header-limit.ts";
import type { ChannelModel } from "../../../src/messaging/rabbit/rabbit.ts";
import { nested } from "../../support/raw-publish.ts";

interface Frame {
	readonly size: number;
	readonly fields: { readonly contentType?: string; readonly headers?: unknown; readonly deliveryMode?: number };
}

// The package lets nobody have its parts by name.
const part = (name: string) =>
	createRequire(import.meta.url)(
		fileURLToPath(new URL(`../../../node_modules/amqplib/lib/${name}.js`, import.meta.url)),
	);
const { parseFrame, decodeFrame } = part("frame") as {
	parseFrame(bytes: Buffer, max: number): unknown;
	decodeFrame(frame: unknown): Frame;
};
const { Connection } = part("connection") as {
	Connection: new (stream: PassThrough) => { readonly rest: Buffer; recvFrame(): Frame | false };
};
const { encodeTable } = part("codec") as { encodeTable(buffer: Buffer, table: object, offset: number): number };

/** What amqplib makes of a header frame with this table, whose length is told as it is or otherwise. */
function received(table: Buffer, length = table.length): Frame & { readonly taken: number } {
	const counted = Buffer.alloc(4);
	counted.writeUInt32BE(length);
	const start = Buffer.from("003c0000000000000000000ff000", "hex");
	const texts = Buffer.from("\x10application/json\x05utf-8", "latin1");
	const payload = Buffer.concat([start, texts, counted, table, Buffer.from([2])]);
	const head = Buffer.from([2, 0, 1, 0, 0, 0, 0]);
	head.writeUInt32BE(payload.length, 3);
	const rest = Buffer.concat([head, payload, Buffer.from([0xce])]);
	const connection = { rest, recvFrame: () => decodeFrame(parseFrame(rest, 0)) };
	let taken = 0;
	limitHeaders({ connection } as unknown as Pick<ChannelModel, "connection">, { warning: () => taken++ });
	return { ...connection.recvFrame(), taken };
}

/** A table with one header. */
function named(value: Buffer): Buffer {
	return Buffer.concat([Buffer.from("\x01h"), value]);
}

test.each([
	["no header", Buffer.alloc(0)],
	["64 levels", named(nested(63))],
	["a table that is empty", named(Buffer.from("F\0\0\0\0"))],
	["a long text", named(Buffer.concat([Buffer.from([0x53, 0, 1, 0, 0]), Buffer.alloc(65_536, "x")]))],
])("%s: a message keeps its properties", (_what, table) => {
	expect(received(table)).toMatchObject({
		taken: 0,
		size: 15,
		fields: { contentType: "application/json", deliveryMode: 2 },
	});
});

test.each([
	["65 levels", named(nested(64))],
	["26,000 levels", named(nested(26_000))],
	["a type that amqplib does not know", named(Buffer.from("L\0\0\0\0\0\0\0\x07"))],
	["a text that ends outside", named(Buffer.from("S\0\0\0\x09x"))],
	["a table that ends outside", named(Buffer.from("F\0\0\0\x09x"))],
	["a name that ends outside", Buffer.from("\x09h")],
	["a name alone", Buffer.from("\x01h")],
	["half a number", named(Buffer.from("I\0\0"))],
	["half a length", named(Buffer.from("S\0\0"))],
	["a number that ends outside of its array", named(Buffer.from("A\0\0\0\x02I\0\0\0\0"))],
])("%s: a message loses its properties, and nothing else", (_what, table) => {
	expect(received(table)).toMatchObject({ taken: 1, size: 15, fields: {} });
	expect(received(table).fields).toEqual({});
});

test("a table that ends outside of its frame: a message loses its properties", () => {
	expect(received(named(Buffer.from("V")), 1_000)).toMatchObject({ taken: 1, fields: {} });
});

/** in bytes: a frame's own 7 come first, and 14 of what is in one say what body follows */
const PIECES = [1_000, 7, 20, 21, 22, 65_536, 8_000_000];
test.each(PIECES)(
	"headers of 2 MiB, in pieces of %i bytes: a message loses its properties, and is not kept",
	async (piece) => {
		const start = Buffer.from("003c0000000000000000000ff000", "hex");
		const frame = (type: number, payload: Buffer) => {
			const head = Buffer.from([type, 0, 1, 0, 0, 0, 0]);
			head.writeUInt32BE(payload.length, 3);
			return Buffer.concat([head, payload, Buffer.from([0xce])]);
		};
		const body = frame(3, Buffer.from("fifteen letters"));
		const large = frame(2, Buffer.concat([start, Buffer.alloc(2_097_152, 0xce)]));
		const bytes = Buffer.concat([body, large, body, large, body]);
		const stream = new PassThrough({ highWaterMark: 2 * bytes.length });
		const connection = new Connection(stream);
		let taken = 0;
		limitHeaders({ connection } as unknown as Pick<ChannelModel, "connection">, { warning: () => taken++ });
		const frames: Frame[] = [];
		let [most, at] = [0, 0];
		while (at < bytes.length) {
			// The small pieces where they count.
			const size = at % large.length < 200 ? piece : Math.max(piece, 65_536);
			stream.write(bytes.subarray(at, at + size));
			at += size;
			for (let next = connection.recvFrame(); next; next = connection.recvFrame()) frames.push(next);
			most = Math.max(most, connection.rest.length);
		}
		const [content, header] = [{ content: Buffer.from("fifteen letters") }, { size: 15, fields: {} }];
		expect(frames).toMatchObject([content, header, content, header, content]);
		expect(frames[1]?.fields).toEqual({});
		expect(taken).toBe(1);
		expect(most).toBeLessThan(65_536);
	},
);

test("whatever there is, amqplib decodes it", () => {
	const byte = fc.oneof(fc.constantFrom(...Buffer.from("\0\0\0\x01\x02\x05FASxVILDTbBtsuifdl", "latin1")), fc.nat(255));
	fc.assert(
		fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
			received(Buffer.from(bytes));
			received(named(Buffer.from(bytes)));
		}),
		{ numRuns: 5_000 },
	);
});

test("what amqplib writes is left as it is", () => {
	const value = fc.letrec((tie) => ({
		one: fc.oneof(
			{ maxDepth: 8 },
			fc.string(),
			fc.double({ min: -1e12, max: 1e12, noNaN: true }),
			fc.maxSafeInteger(),
			fc.boolean(),
			fc.constant(null),
			fc.uint8Array().map((bytes) => Buffer.from(bytes)),
			fc.array(tie("one"), { maxLength: 4 }),
			fc.dictionary(
				fc.string({ maxLength: 20 }).filter((name) => name !== "!"),
				tie("one"),
				{ maxKeys: 4 },
			),
		),
	})).one;
	fc.assert(
		fc.property(fc.dictionary(fc.string({ maxLength: 20 }), value), (table) => {
			const buffer = Buffer.alloc(1_000_000);
			const size = encodeTable(buffer, table, 0);
			expect(received(buffer.subarray(4, size)).taken).toBe(0);
		}),
	);
});
