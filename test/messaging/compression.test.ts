import { execFileSync } from "node:child_process";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decompress } from "../../src/messaging/compression.ts";
import { InvalidMessage } from "../../src/messaging/errors.ts";
import { MAX_BODY_BYTES, openEnvelope } from "../../src/messaging/message.ts";
import { REPOSITORY } from "../support/cli.ts";
import { askPython } from "../support/python.ts";

const TEXT = JSON.stringify({ "oslo.version": "2.0", "oslo.message": '{"method":"é😀","args":{"a":NaN}}' });

/** Bytes as an expression of Python makes them; it finds TEXT in `question`. */
function compressed(expression: string): Buffer {
	const script = `import base64, bz2\nanswer(base64.b64encode(${expression}).decode())`;
	return Buffer.from(String(askPython(script, TEXT)), "base64");
}

const BZIP2 = compressed("bz2.compress(question.encode())");

function refusal(body: Buffer, compression: string): string {
	try {
		return `not refused: ${decompress(body, compression, MAX_BODY_BYTES).length} bytes`;
	} catch (error) {
		return error instanceof InvalidMessage ? error.message : `not an InvalidMessage: ${error}`;
	}
}

describe("a compressed body", () => {
	/** Every name under which kombu compresses here, what it makes of it. */
	const KOMBU = askPython(
		`
import base64
from kombu import compression
made = [(name, *compression.compress(question, name)) for name in [*compression.encoders(), *compression._aliases]]
answer([[name, header, base64.b64encode(body).decode()] for name, body, header in made])`,
		TEXT,
	) as readonly (readonly [name: string, header: string, body: string])[];
	const ours = KOMBU.filter(([, header]) => !header.endsWith("lzma"));
	const others = KOMBU.filter(([, header]) => header.endsWith("lzma"));

	test("kombu knows the names", () => {
		expect(ours.map(([name]) => name)).toEqual(
			expect.arrayContaining(["application/x-gzip", "application/x-bz2", "gzip", "zlib", "bzip2", "bzip"]),
		);
	});

	test.each(ours)("P23: kombu's %s opens, by either name", (name, header, body) => {
		for (const compression of [name, header]) {
			const delivery = { body: Buffer.from(body, "base64"), contentType: "application/json", compression };
			expect(openEnvelope(delivery)).toEqual({ method: "é😀", args: { a: Number.NaN } });
		}
	});

	test.each(others)("P23: kombu's %s is refused by name", (name, _header, body) => {
		expect(refusal(Buffer.from(body, "base64"), name)).toBe(
			`compression is "${name}", expected one of application/x-gzip, gzip, zlib, application/x-bz2, bzip2, bzip, application/x-brotli, brotli`,
		);
	});

	test.each(["application/x-brotli", "brotli"])("P23: %s opens", (name) => {
		expect(decompress(brotliCompressSync(TEXT), name, 1_000).toString()).toBe(TEXT);
	});

	test("P23: the other side of bzip2: every block size, several blocks, bytes of every value", () => {
		const bytes = "(bytes(range(256)) * 4 + b'a' * 1000) * 150";
		for (const level of [1, 9]) {
			const body = compressed(`bz2.compress(${bytes}, ${level})`);
			expect(decompress(body, "bzip2", MAX_BODY_BYTES).toString("base64")).toBe(compressed(bytes).toString("base64"));
		}
	});

	/** what is refused, what the log says about it */
	const REFUSED: readonly (readonly [what: string, body: Buffer, compression: string, says: string])[] = [
		["text", Buffer.from(TEXT), "gzip", "incorrect header check"],
		["real gzip, which kombu refuses too", gzipSync(TEXT), "gzip", "incorrect header check"],
		["half of it", deflateSync(TEXT).subarray(0, 20), "zlib", "unexpected end of file"],
		["text", Buffer.from(TEXT), "bzip2", "Not bzip data"],
		["half of it", BZIP2.subarray(0, 40), "bzip", "it ends too early"],
		["another checksum", Buffer.from(BZIP2).fill(0, 10, 14), "bzip", "Bad block CRC"],
		["another content", Buffer.from(BZIP2).fill(0xff, 40, 60), "bzip", "Data error"],
		["text", Buffer.from(TEXT), "brotli", "Decompression failed"],
		["nothing", Buffer.alloc(0), "bzip", "it ends too early"],
	];
	test.each(REFUSED)("row 40: %s is refused", (_what, body, compression, says) => {
		expect(refusal(body, compression)).toMatch(
			new RegExp(`^the body cannot be decompressed as ${compression}: .*${says}`),
		);
	});

	test("row 40: no name of a property is that of a compression", () => {
		for (const name of ["constructor", "__proto__", "", "none", "GZIP"]) {
			expect(refusal(deflateSync(TEXT), name)).toMatch(/^compression is ".*", expected one of /);
		}
		expect(refusal(deflateSync(TEXT), "x".repeat(1_000_000)).length).toBeLessThan(200);
	});

	/** A bzip2 stream with very many blocks of a byte each. */
	const blocks = () => {
		const bits = [...compressed("bz2.compress(b'a')")].map((byte) => byte.toString(2).padStart(8, "0")).join("");
		const [header, end] = [32, bits.indexOf((0x177245385090).toString(2).padStart(48, "0"))];
		const stream = bits.slice(0, header) + bits.slice(header, end).repeat(20_000);
		return Buffer.from((stream.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
	};
	const ZEROS = Buffer.alloc(2 ** 26);
	const brotli = (windowBits: number) =>
		brotliCompressSync(ZEROS, {
			params: { [constants.BROTLI_PARAM_LGWIN]: windowBits, [constants.BROTLI_PARAM_QUALITY]: 4 },
		});
	/** what it is, the body, its compression, what the log says */
	const BOMBS: readonly (readonly [what: string, body: () => Buffer, compression: string, says: string])[] = [
		["zeros", () => deflateSync(ZEROS), "gzip", "larger than 4194304 bytes"],
		["zeros", () => compressed(`bz2.compress(bytes(${ZEROS.length}))`), "bzip2", "more than 1048576 bytes"],
		["zeros", () => brotli(22), "brotli", "larger than 4194304 bytes"],
		["zeros in a window of 8 MiB", () => brotli(23), "brotli", "its window is larger than 4 MiB"],
		["zeros in a window of 16 MiB", () => brotli(24), "brotli", "its window is larger than 4 MiB"],
		["blocks", blocks, "bzip2", "more than 16 blocks"],
	];
	test.each(BOMBS)("row 40: a bomb of %s is refused early, within 10 MB: %#", (_what, make, compression, says) => {
		const script = `
			import { readFileSync } from "node:fs";
			import { decompress } from "${REPOSITORY}dist/src/messaging/compression.js";
			const body = readFileSync(0);
			const before = process.resourceUsage();
			let message;
			try { decompress(body, process.argv[1], ${MAX_BODY_BYTES}); } catch (error) { message = error.message; }
			const after = process.resourceUsage();
			const milliseconds = (after.userCPUTime + after.systemCPUTime - before.userCPUTime - before.systemCPUTime) / 1000;
			console.log(JSON.stringify({ message, milliseconds, megabytes: (after.maxRSS - before.maxRSS) / 1024 }));
		`;
		// Without the compilers that optimise: their own pages, 6 MB of Node.js 24, come once in a process.
		const node = ["--no-maglev", "--no-opt", "--input-type=module", "--eval", script, compression];
		const input = make();
		// The interpreter's own pages come and go: the least of three is what the decoder took.
		const runs = [1, 2, 3].map((): { message: string; milliseconds: number; megabytes: number } =>
			JSON.parse(execFileSync(process.execPath, node, { input, encoding: "utf8" })),
		);
		for (const { message } of runs) expect(message).toContain(says);
		expect(Math.min(...runs.map(({ megabytes }) => megabytes))).toBeLessThan(10);
		expect(Math.min(...runs.map(({ milliseconds }) => milliseconds))).toBeLessThan(500);
	});
});
