import { crc32 } from "node:zlib";

/** `,"crc32":"0a1b2c3d"}`: the last member of the object on every line, over all bytes before it. */
const SEAL_LENGTH = 20;
const SEAL = /^,"crc32":"([0-9a-f]{8})"\}$/;

/** A value as one line, with a checksum: still JSON, but a changed or torn line shows. */
export function sealLine(value: object): string {
	const open = JSON.stringify(value).slice(0, -1);
	return `${open},"crc32":"${crc32(open).toString(16).padStart(8, "0")}"}\n`;
}

/** What is wrong with a line; the message says no more than that. */
export class DamagedLine extends Error {
	override readonly name = "DamagedLine";
}

/** The value of a line without its end, or throws DamagedLine. */
export function openLine(line: Buffer): unknown {
	const end = line.length - SEAL_LENGTH;
	const [, checksum] = SEAL.exec(line.toString("latin1", Math.max(0, end))) ?? [];
	if (checksum === undefined) throw new DamagedLine("the line is cut off, or has no checksum");
	if (crc32(line.subarray(0, end)) !== Number.parseInt(checksum, 16)) {
		throw new DamagedLine("the checksum does not fit: the line was changed");
	}
	try {
		return JSON.parse(line.toString("utf8"));
	} catch (cause) {
		throw new DamagedLine("the line is not JSON", { cause });
	}
}
