import { PAGE_BYTES } from "./bounded-file.ts";

/**
 * What reading one attribute gave; `undefined` means absent, which is not the same as unreadable.
 *
 * Besides the kernel's own (`EIO`, `ENODEV`, `EACCES`, `EBUSY` ...) `errno` is one of: `EXDEV` a link leads out of the
 * tree, `ELOOP` links run in a circle, `EISDIR` a directory, `EINVAL` not a regular file (FIFO, socket, device node),
 * `EFBIG` more than one page, or what is left of that, `EILSEQ` not ASCII text, `EBADMSG` another form than is known.
 */
export type Reading = { readonly value: string } | { readonly errno: string } | undefined;

const ASCII_WITHOUT_NUL = /^[^\0\u0080-\u00ff]*$/;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** An attribute without one trailing newline and trailing NULs. NULs inside make it unreadable: dropping them could make two different values equal. */
export function readingOf(content: Buffer): Reading {
	if (isCut(content)) return { errno: "EFBIG" };
	let end = trimNuls(content, content.length);
	if (content[end - 1] === LINE_FEED) end -= content[end - 2] === CARRIAGE_RETURN ? 2 : 1;
	const value = content.toString("latin1", 0, trimNuls(content, end));
	return ASCII_WITHOUT_NUL.test(value) ? { value } : { errno: "EILSEQ" };
}

/** What several attributes say together: each text once, sorted. Unreadable is what the first is that is; an absent one is `EBADMSG`. */
export function readingOfAll(readings: readonly Reading[]): Reading {
	const texts = new Set<string>();
	for (const reading of readings) {
		if (reading === undefined || "errno" in reading) return reading ?? { errno: "EBADMSG" };
		texts.add(reading.value.trim());
	}
	return { value: [...texts].sort().join(",") };
}

function trimNuls(content: Buffer, end: number): number {
	let kept = end;
	while (content[kept - 1] === 0) kept--;
	return kept;
}

/** The kernel cuts what does not fit into a page, and leaves room for a NUL (fs/sysfs/file.c): the end is missing, be it some lines of several. */
function isCut(content: Buffer): boolean {
	if (content.length < PAGE_BYTES - 1) return false;
	if (content.at(-1) !== LINE_FEED) return true;
	return content.length === PAGE_BYTES - 1 && content.indexOf(LINE_FEED) < content.length - 1;
}
