/** The items of a set as text: separated by comma, semicolon, plus or blanks; order and repetition mean nothing. */
export function parseSet(text: string): ReadonlySet<string> {
	return new Set(text.split(/[\s,;+]+/).filter((item) => item !== ""));
}

/** What the one set has and the other lacks, in the order of the text. */
export function missingItems(needed: ReadonlySet<string>, offered: ReadonlySet<string>): readonly string[] {
	return [...needed].filter((item) => !offered.has(item));
}

/** What `parseMask` reads, for a message. */
export const MASK_FORM = "a mask (such as 0x1f, or 31 in decimal)";

/** A bit mask of any width: hexadecimal with `0x`, or decimal. Undefined when the text is neither. */
export function parseMask(text: string): bigint | undefined {
	const trimmed = text.trim();
	return /^(?:0x[0-9a-f]+|[0-9]+)$/i.test(trimmed) ? BigInt(trimmed) : undefined;
}

/** The bits of a mask that another one lacks. */
export function missingBits(mask: bigint, other: bigint): bigint {
	return mask & ~other;
}

export function showMask(mask: bigint): string {
	return `0x${mask.toString(16)}`;
}

/** Both ends are included; an end that is left out is open. */
export interface IntRange {
	readonly min?: bigint;
	readonly max?: bigint;
}

/** An integer in decimal. Undefined when the text is none. */
export function parseInteger(text: string): bigint | undefined {
	const trimmed = text.trim();
	return /^-?\d+$/.test(trimmed) ? BigInt(trimmed) : undefined;
}

/** `min-max` with blanks around the dash allowed. Undefined when the text is none, or reversed. */
export function parseIntRange(text: string): Required<IntRange> | undefined {
	const [, low, high] = /^\s*(-?\d+)\s*-\s*(-?\d+)\s*$/.exec(text) ?? [];
	if (low === undefined || high === undefined) return undefined;
	const range = { min: BigInt(low), max: BigInt(high) };
	return range.min <= range.max ? range : undefined;
}

export function inIntRange(value: bigint, { min = value, max = value }: IntRange): boolean {
	return min <= value && value <= max;
}
