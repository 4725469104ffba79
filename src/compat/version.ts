/** `major.minor.bugfix` of formats E and H; the grammar is version.bnf. */
export interface Version {
	readonly major: number;
	readonly minor: number;
	readonly bugfix: number;
}

/** The grammar of version.bnf as a regular expression without anchors or groups, for the range grammar to build on. */
export const VERSION_PATTERN = "\\d{1,10}(?:\\.\\d{1,10}){0,2}";

const MAX_DIGITS = 10;
const [ZERO, NINE, DOT] = [0x30, 0x39, 0x2e];

/**
 * Reads a version; `fill` stands for components that the text leaves out. Undefined when the text is not a version. It runs
 * once for each version of a fleet against each list, so it looks at each character once.
 */
export function parseVersion(text: string, fill = 0): Version | undefined {
	let major = fill;
	let minor = fill;
	let number = 0;
	let digits = 0;
	let component = 0;
	for (let index = 0; index < text.length; index++) {
		const code = text.charCodeAt(index);
		if (code >= ZERO && code <= NINE && digits < MAX_DIGITS) {
			number = number * 10 + (code - ZERO);
			digits++;
		} else if (code === DOT && digits > 0 && component < 2) {
			if (component === 0) major = number;
			else minor = number;
			component++;
			number = 0;
			digits = 0;
		} else return undefined;
	}
	if (digits === 0) return undefined;
	if (component === 0) return { major: number, minor, bugfix: fill };
	return component === 1 ? { major, minor: number, bugfix: fill } : { major, minor, bugfix: number };
}

/** Negative when `a` is older than `b`, 0 when they are the same version, positive when it is newer; `a` is finite. */
export function compareVersions(a: Version, b: Version): number {
	return a.major - b.major || a.minor - b.minor || a.bugfix - b.bugfix;
}
