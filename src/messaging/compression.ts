import { brotliDecompressSync, inflateSync } from "node:zlib";
import bunzip from "seek-bzip";
import { InvalidMessage } from "./errors.ts";

type Decompress = (body: Buffer, maxBytes: number) => Buffer;

/** A decoder in JavaScript needs a quarter of a second for so much, fifty times what Nova sends. */
const MAX_BUNZIPPED_BYTES = 1024 * 1024;
/** The smallest block size is 100 kB, in which a run of four bytes takes five; more blocks only cost time. */
const MAX_BZIP2_BLOCKS = 16;

/** Names of kombu/compression.py; what it calls gzip is the zlib format. */
const DECOMPRESS: ReadonlyMap<string, Decompress> = new Map([
	["application/x-gzip", inflate],
	["gzip", inflate],
	["zlib", inflate],
	["application/x-bz2", bunzip2],
	["bzip2", bunzip2],
	["bzip", bunzip2],
	["application/x-brotli", unbrotli],
	["brotli", unbrotli],
]);

/** Takes a body out of the compression that its header names, and refuses one that would have more than `maxBytes`. */
export function decompress(body: Buffer, compression: string, maxBytes: number): Buffer {
	const decoder = DECOMPRESS.get(compression);
	if (decoder === undefined) {
		const known = [...DECOMPRESS.keys()].join(", ");
		throw new InvalidMessage(`compression is ${JSON.stringify(compression.slice(0, 40))}, expected one of ${known}`);
	}
	try {
		return decoder(body, maxBytes);
	} catch (cause) {
		const why = cause instanceof Error ? cause.message : String(cause);
		throw new InvalidMessage(`the body cannot be decompressed as ${compression}: ${why}`, { cause });
	}
}

function inflate(body: Buffer, maxOutputLength: number): Buffer {
	return inflateSync(body, { maxOutputLength });
}

function unbrotli(body: Buffer, maxOutputLength: number): Buffer {
	// The decoder fills a whole window before it hands anything out; kombu's has 4 MiB (RFC 7932, section 9.1).
	if (((body[0] ?? 0) & 0b1101) === 0b1101) throw new RangeError("its window is larger than 4 MiB");
	return brotliDecompressSync(body, { maxOutputLength });
}

function bunzip2(body: Buffer, maxBytes: number): Buffer {
	const output = new Output(Math.min(maxBytes, MAX_BUNZIPPED_BYTES));
	bunzip.decode(new Input(body, output), output);
	return output.bytes();
}

/** What the decoder writes, a byte at a time. */
class Output extends bunzip.Stream {
	/** Whether a block has been written; the decoder reads a whole block before it writes any of it. */
	blockWritten = false;
	readonly #maxBytes: number;
	#buffer = Buffer.allocUnsafe(16 * 1024);
	#length = 0;

	constructor(maxBytes: number) {
		super();
		this.#maxBytes = maxBytes;
	}

	override writeByte(byte: number): void {
		this.blockWritten = true;
		if (this.#length === this.#maxBytes) throw new RangeError(`more than ${this.#maxBytes} bytes`);
		if (this.#length === this.#buffer.length) this.#buffer = Buffer.concat([this.#buffer], 2 * this.#length);
		this.#buffer[this.#length++] = byte;
	}

	bytes(): Buffer {
		return this.#buffer.subarray(0, this.#length);
	}
}

/** What the decoder reads; without an end of its own it would read zeros for ever. */
class Input extends bunzip.Stream {
	readonly #body: Buffer;
	readonly #output: Output;
	#at = 0;
	#blocks = 0;

	constructor(body: Buffer, output: Output) {
		super();
		this.#body = body;
		this.#output = output;
	}

	override readByte(): number {
		if (this.#output.blockWritten) {
			this.#output.blockWritten = false;
			if (++this.#blocks === MAX_BZIP2_BLOCKS) throw new RangeError(`more than ${MAX_BZIP2_BLOCKS} blocks`);
		}
		const byte = this.#body[this.#at++];
		if (byte === undefined) throw new RangeError("it ends too early");
		return byte;
	}
}
