import type { ScanCounts } from "./scanner.ts";
import type { AgentTls } from "./tls.ts";

/** What `/metrics` tells: nothing of which devices the host has. */
export interface Metrics {
	readonly scans: ScanCounts;
	/** Seconds since the last scan that was done; undefined before the first. */
	readonly snapshotAge: number | undefined;
	/** How many answers by status. */
	readonly answers: ReadonlyMap<number, number>;
	readonly connections: number;
	readonly tls: AgentTls["metrics"] | undefined;
}

type Sample = readonly [labels: string, value: number];

/** Prometheus' text format, version 0.0.4. */
export function renderMetrics({ scans, snapshotAge, answers, connections, tls }: Metrics): string {
	const { user, system } = process.cpuUsage();
	const families = [
		family("novacompat_agent_scans_total", "counter", "Scans by how they ended.", [
			['{outcome="done"}', scans.done],
			['{outcome="failed"}', scans.failed],
			['{outcome="overrun"}', scans.overrun],
		]),
		family("novacompat_agent_scan_seconds_total", "counter", "Time of the scans that were done.", [
			["", scans.seconds],
		]),
		family("novacompat_agent_snapshot_age_seconds", "gauge", "Time since the last scan that was done.", [
			...(snapshotAge === undefined ? [] : [["", snapshotAge] as const]),
		]),
		family(
			"novacompat_agent_responses_total",
			"counter",
			"Answers by HTTP status.",
			[...answers].map(([status, count]) => [`{code="${status}"}`, count]),
		),
		family("novacompat_agent_connections", "gauge", "Open connections.", [["", connections]]),
		...(tls === undefined ? [] : tlsFamilies(tls)),
		family("process_cpu_seconds_total", "counter", "Processor time of the agent without its scans.", [
			["", (user + system) / 1e6],
		]),
		family("process_resident_memory_bytes", "gauge", "Memory of the agent without its scans.", [
			["", process.memoryUsage.rss()],
		]),
	];
	return families.join("");
}

function tlsFamilies({ taken, refused, expiry }: NonNullable<Metrics["tls"]>): readonly string[] {
	return [
		family("novacompat_agent_tls_loads_total", "counter", "Certificates and keys found, by what became of them.", [
			['{result="taken"}', taken],
			['{result="refused"}', refused],
		]),
		family("novacompat_agent_certificate_expiry_timestamp_seconds", "gauge", "When the agent's certificate ends.", [
			["", expiry],
		]),
	];
}

function family(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): string {
	const lines = samples.map(([labels, value]) => `${name}${labels} ${value}\n`);
	return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`;
}
