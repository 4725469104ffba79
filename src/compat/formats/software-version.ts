import { bothValues, isSaid, type Judgement, type Pair } from "../pair.ts";
import type { Reason } from "../reason.ts";
import { judgeStream } from "../stream-version.ts";

/**
 * Format H: `major.minor.bugfix` of the migration stream. Same major, the target's minor at least the source's, the
 * bugfix free. Sean Mooney, 14 July 2020; Alex Williamson, 17 July 2020; specification 2.6.1. It is also what
 * `interface_version` means where no list says more (format E without its list).
 */
const RULE = "software-version";
const ATTRIBUTES = ["software_version", "interface_version"] as const;

export function softwareVersion(pair: Pair, covered: ReadonlySet<string>): Judgement {
	const covers: string[] = [];
	const reasons: Reason[] = [];
	for (const attribute of ATTRIBUTES) {
		if (covered.has(attribute)) continue;
		const values = bothValues(pair, attribute, RULE);
		if (values === undefined) continue;
		covers.push(attribute);
		const found = "reason" in values ? values.reason : judgeStream(pair, attribute, values, RULE);
		if (found) reasons.push(found);
	}
	const idle = covers.length > 0 && !covers.some((attribute) => isSaid(pair, attribute));
	return { covers, reasons, ...(idle && { idle }) };
}
