import type { Checked } from "../attempt.ts";
import type { Decision } from "../compat/decision.ts";
import { once } from "../compat/once.ts";
import type { Ranking } from "../compat/rank.ts";
import type { ReasonCode } from "../compat/reason.ts";
import { hostCount, rankSummary, summary } from "../compat/summary.ts";
import type { Logger } from "../log/logger.ts";
import type { LogContext } from "../log/record.ts";
import type { PrecheckRequest } from "../precheck.ts";
import type { RankRequest } from "../ranking.ts";
import type { RequestContext } from "./context.ts";

/** What somebody should look at although the migration may go on. */
const NOTABLE: ReadonlySet<ReasonCode> = new Set(["override.used", "snapshot.stale_used"]);

/** What a decision took and rests on. */
interface Measured {
	/** Milliseconds. */
	readonly duration?: number | undefined;
	/** Seconds since the host was read whose snapshot is the oldest. */
	readonly snapshotAge?: number | undefined;
}

/**
 * The one log line of a decision: at INFO, because Nova itself logs a rejection at DEBUG; at WARNING when it is unknown, or
 * rests on an override or on an old snapshot. The ids are those by which Nova's lines are found.
 */
export function logDecision(
	log: Logger,
	decision: Checked,
	{ instance_uuid, source_host, dest_host }: Partial<PrecheckRequest>,
	context: RequestContext,
	{ duration, snapshotAge }: Measured = {},
): void {
	const about: LogContext = { ...context, instance: instance_uuid };
	if (decision.snapshots) log.debug(`decided with ${textOf(decision.snapshots)}`, about);
	const isWayKnown = source_host !== undefined && dest_host !== undefined;
	const way = isWayKnown ? ` ${source_host} -> ${dest_host}` : "";
	log[isNotable(decision) ? "warning" : "info"](`live migration${way}: ${summary(decision)}`, about, {
		check_id: decision.id,
		verdict: decision.verdict,
		allowed: decision.allowed,
		reason_codes: codesOf(decision),
		src_host: source_host,
		dst_host: dest_host,
		duration_ms: toThousandths(duration),
		snapshot_age_s: toThousandths(snapshotAge),
	});
}

/** The one log line of a ranking; the host that is first decides how it looks. */
export function logRanking(
	log: Logger,
	{ instance_uuid, source_host }: RankRequest,
	ranking: Ranking,
	context: RequestContext,
	{ snapshotAge }: Measured = {},
): void {
	const [first] = ranking.hosts;
	const level = first && isNotable(first) ? "warning" : "info";
	log[level](
		`live migration ${source_host} -> ${rankSummary(ranking)}`,
		{ ...context, instance: instance_uuid },
		{
			src_host: source_host,
			hosts: hostCount(ranking.verdicts),
			snapshot_age_s: toThousandths(snapshotAge),
			...(first && {
				check_id: first.id,
				verdict: first.verdict,
				allowed: first.allowed,
				reason_codes: codesOf(first),
				dst_host: first.host,
			}),
		},
	);
}

/** Of snapshots that decide many checks; nearly nobody reads it. */
const textOf = once((snapshots: NonNullable<Checked["snapshots"]>) => JSON.stringify(snapshots));

function isNotable({ verdict, reasons }: Decision): boolean {
	return verdict === "unknown" || reasons.some(({ code }) => NOTABLE.has(code));
}

function toThousandths(value: number | undefined): number | undefined {
	return value === undefined ? undefined : Math.round(value * 1000) / 1000;
}

/** Each once, in the order of the reasons. */
function codesOf({ reasons }: Decision): readonly ReasonCode[] {
	return [...new Set(reasons.map(({ code }) => code))];
}
