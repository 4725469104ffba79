import { closeSync, openSync, readSync } from "node:fs";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const PIECE = 2 ** 20;

/** The lines of a file, also empty ones, without their ends; piece by piece, because a capture of a bus is longer than a text can be. */
export function* linesIn(file: string): Generator<Buffer, void, undefined> {
	const descriptor = openSync(file, "r");
	try {
		let begun: Buffer[] = [];
		for (let piece = readPiece(descriptor); piece.length > 0; piece = readPiece(descriptor)) {
			let start = 0;
			for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
				yield lineOf([...begun, piece.subarray(start, end)]);
				begun = [];
				start = end + 1;
			}
			begun.push(piece.subarray(start));
		}
		yield lineOf(begun);
	} finally {
		closeSync(descriptor);
	}
}

function readPiece(descriptor: number): Buffer {
	const piece = Buffer.allocUnsafe(PIECE);
	return piece.subarray(0, readSync(descriptor, piece));
}

/** Without what editors and checkouts of Windows put before the end. */
function lineOf(pieces: readonly Buffer[]): Buffer {
	const line = Buffer.concat(pieces);
	return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
}
