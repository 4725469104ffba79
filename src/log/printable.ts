const PLAIN = /^[\x20-\x7e]*$/;

/** Names come from hosts and messages: a line break or a terminal sequence in one must not make a line of its own. */
export function printable(text: string): string {
	// Nearly every line, and the classes of Unicode are slow.
	if (PLAIN.test(text)) return text;
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
		const code = character.codePointAt(0) ?? 0;
		return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}
