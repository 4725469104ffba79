import { family, processFamilies } from "../http/metrics.ts";
import type { HttpCounts } from "../http/server.ts";
import type { ScanCounts } from "./scanner.ts";
import type { AgentTls } from "./tls.ts";

/** What `/metrics` tells: nothing of which devices the host has. */
export interface Metrics extends HttpCounts {
	readonly scans: ScanCounts;
	/** Seconds since the last scan that was done; undefined before the first. */
	readonly snapshotAge: number | undefined;
	readonly tls: AgentTls["metrics"] | undefined;
}

/** Prometheus' text format, version 0.0.4. */
export function renderMetrics({ scans, snapshotAge, answers, connections, tls }: Metrics): string {
	const families = [
		family("novacompat_agent_scans_total", "counter", "Scans by how they ended.", [
			[{ outcome: "done" }, scans.done],
			[{ outcome: "failed" }, scans.failed],
			[{ outcome: "overrun" }, scans.overrun],
		]),
		family("novacompat_agent_scan_seconds_total", "counter", "Time of the scans that were done.", [
			[{}, scans.seconds],
		]),
		family("novacompat_agent_snapshot_age_seconds", "gauge", "Time since the last scan that was done.", [
			...(snapshotAge === undefined ? [] : [[{}, snapshotAge] as const]),
		]),
		family(
			"novacompat_agent_responses_total",
			"counter",
			"Answers by HTTP status.",
			[...answers].map(([status, count]) => [{ code: String(status) }, count] as const),
		),
		family("novacompat_agent_connections", "gauge", "Open connections.", [[{}, connections]]),
		...(tls === undefined ? [] : tlsFamilies(tls)),
		...processFamilies("the agent without its scans"),
	];
	return families.join("");
}

function tlsFamilies({ taken, refused, expiry }: NonNullable<Metrics["tls"]>): readonly string[] {
	return [
		family("novacompat_agent_tls_loads_total", "counter", "Certificates and keys found, by what became of them.", [
			[{ result: "taken" }, taken],
			[{ result: "refused" }, refused],
		]),
		family("novacompat_agent_certificate_expiry_timestamp_seconds", "gauge", "When the agent's certificate ends.", [
			[{}, expiry],
		]),
	];
}
