import { REASON_CODES, type Reason, type Verdict } from "./reason.ts";

/**
 * What Nova leaves of a reason: `instance_faults.message` and the `details` of an instance event hold 255 bytes, of which
 * "Migration pre-check error: " takes 27.
 */
const MAX_TEXT = 228;

/** A reason has at least one character, and two that separate it from the next. */
const MAX_TOLD = MAX_TEXT / 3;

/**
 * A decision in at most 228 ASCII characters: the decisive reason, as many more as there is room for, how many are left out, the
 * id. Without an error it begins with the verdict, and names what must be provisioned, else the warnings.
 */
export function shortText(verdict: Verdict, reasons: readonly Reason[], id: string): string {
	const all = decisive(reasons);
	const told = all.slice(0, MAX_TOLD).map(({ message }) => ascii(message));
	const [first] = told;
	const start = verdict === "accept" || verdict === "conditional" ? `${verdict}; ` : "";
	if (first === undefined) return `${verdict} [${id}]`;
	const end = (shown: number) => (shown < all.length ? ` (+${all.length - shown} more) [${id}]` : ` [${id}]`);
	for (let shown = told.length; shown > 0; shown--) {
		const text = start + told.slice(0, shown).join("; ") + end(shown);
		if (text.length <= MAX_TEXT) return text;
	}
	return shorten(start + first, MAX_TEXT - end(1).length) + end(1);
}

/** What the verdict rests on: the errors; without them the obligations; without those the warnings. */
function decisive(reasons: readonly Reason[]): readonly Reason[] {
	const errors = reasons.filter(({ severity }) => severity === "error");
	if (errors.length > 0) return errors;
	const obligations = reasons.filter(({ code }) => REASON_CODES[code] === "obligation");
	return obligations.length > 0 ? obligations : reasons;
}

const OUTSIDE_PRINTABLE_ASCII = /[^\x20-\x7e]/gu;
/** One character, or one escape as JSON, `printable` and `ascii` write it. */
const UNIT = /\\u\{[0-9a-f]+\}|\\u[0-9a-f]{4}|\\.|./gs;

/** Everything else as an escape: a byte of the column is a character then, and no character can be cut in two. */
function ascii(text: string): string {
	return text.replace(OUTSIDE_PRINTABLE_ASCII, (character) => {
		const code = Number(character.codePointAt(0));
		return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}

/** As much of the beginning of a long text as there is room for, never a part of an escape. */
function shorten(text: string, room: number): string {
	let shown = "";
	for (const [unit] of text.matchAll(UNIT)) {
		if (shown.length + unit.length > room - "...".length) break;
		shown += unit;
	}
	return `${shown}...`;
}
