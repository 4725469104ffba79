/** JSON with the keys of every object in order and in ASCII: equal values have equal text. */
export function canonicalJson(value: unknown): string {
	return inOrder(value).replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** By hand: a replacer of JSON.stringify takes twice the time, and every decision has an id. */
function inOrder(value: unknown): string {
	if (hasOrder(value)) return JSON.stringify(value) ?? "null";
	if (Array.isArray(value)) return `[${value.map(inOrder).join()}]`;
	const fields = value as Readonly<Record<string, unknown>>;
	const told = Object.keys(fields).filter((key) => fields[key] !== undefined);
	return `{${told.sort().map((key) => `${JSON.stringify(key)}:${inOrder(fields[key])}`)}}`;
}

/** What has no object in it is in order as it is. */
function hasOrder(value: unknown): boolean {
	return typeof value !== "object" || value === null || (Array.isArray(value) && value.every(hasOrder));
}

/**
 * 64-bit FNV-1a of an ASCII text as 16 hexadecimal digits (draft-eastlake-fnv). The prime is 2^40 + 0x1b3; the hash is kept in two
 * halves, and the lower one multiplied by 16 bits at a time, because integers of 32 bits are many times faster than a BigInt.
 */
export function fnv1a64(text: string): string {
	let high = 0xcbf29ce4 | 0;
	let low = 0x84222325 | 0;
	for (let index = 0; index < text.length; index++) {
		const mixed = low ^ text.charCodeAt(index);
		const lower = (mixed & 0xffff) * 0x1b3;
		const upper = (mixed >>> 16) * 0x1b3 + (lower >>> 16);
		low = (upper << 16) | (lower & 0xffff);
		high = (Math.imul(high, 0x1b3) + (upper >>> 16) + (mixed << 8)) | 0;
	}
	return [high, low].map((half) => (half >>> 0).toString(16).padStart(8, "0")).join("");
}

/** A short name for a value: the same value, the same name. 48 bits: among a million decisions two are hardly ever called alike. */
export function digest(value: unknown): string {
	return fnv1a64(canonicalJson(value)).slice(0, 12);
}
