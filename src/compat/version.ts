/** `major.minor.bugfix` of formats E and H; the grammar is version.bnf. */
export interface Version {
	readonly major: number;
	readonly minor: number;
	readonly bugfix: number;
}

/** The grammar of version.bnf as a regular expression without anchors or groups, for the range grammar to build on. */
export const VERSION_PATTERN = "\\d{1,10}(?:\\.\\d{1,10}){0,2}";

const VERSION = new RegExp(`^${VERSION_PATTERN}$`);

/** Reads a version; `fill` stands for components that the text leaves out. Undefined when the text is not a version. */
export function parseVersion(text: string, fill = 0): Version | undefined {
	if (!VERSION.test(text)) return undefined;
	const [major = fill, minor = fill, bugfix = fill] = text.split(".").map(Number);
	return { major, minor, bugfix };
}

/** Negative when `a` is older than `b`, 0 when they are the same version, positive when it is newer. */
export function compareVersions(a: Version, b: Version): number {
	if (a.major !== b.major) return a.major < b.major ? -1 : 1;
	if (a.minor !== b.minor) return a.minor < b.minor ? -1 : 1;
	if (a.bugfix !== b.bugfix) return a.bugfix < b.bugfix ? -1 : 1;
	return 0;
}
