import { bothValues, type Pair } from "../pair.ts";
import type { Rule } from "../policy.ts";
import type { Reason } from "../reason.ts";
import { judgeStream } from "../stream-version.ts";

/** `major.minor.bugfix`: a target that is older than the source does not read what the source writes. Specification 2.6.1. */
export function version(pair: Pair, { attribute, compare }: Rule): readonly Reason[] {
	const values = bothValues(pair, attribute, "version");
	if (values === undefined) return [];
	if ("reason" in values) return [values.reason];
	const found = judgeStream(pair, attribute, values, "version", compare);
	return found ? [found] : [];
}
