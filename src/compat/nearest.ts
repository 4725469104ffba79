import type { Pool, Seat } from "./pool.ts";
import type { Reason } from "./reason.ts";
import type { Option } from "./settle.ts";

/** What a device is. Drivers and versions can be changed on a host, these cannot. */
const IDENTITY: readonly (string | undefined)[] = ["device_api", "vendor", "device", "mdev_type"];

/** The candidate that fits best; where none does, the same hardware first, then the fewest errors, then the fewest reasons. */
export function nearestOf(options: readonly Option<Pool>[]): Seat | undefined {
	const [closest] = options
		.map(({ candidate, fit, bugfix }) => ({ candidate, order: [fit.tier, ...distance(fit.reasons), -bugfix] }))
		.sort((a, b) => compareLists(a.order, b.order));
	return closest && { pool: closest.candidate, candidate: closest.candidate.first };
}

function distance(reasons: readonly Reason[]): readonly number[] {
	const errors = reasons.filter(({ severity }) => severity === "error");
	return [errors.filter(({ attribute }) => IDENTITY.includes(attribute)).length, errors.length, reasons.length];
}

/** Lists of one length, the first difference decides. */
function compareLists(a: readonly number[], b: readonly number[]): number {
	const index = a.findIndex((value, at) => value !== b[at]);
	return index < 0 ? 0 : Number(a[index]) - Number(b[index]);
}
