import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { Decision } from "../../compat/decision.ts";
import { REASON_CODES, type ReasonCode, type Verdict } from "../../compat/reason.ts";
import { countFamily, family, Histogram, processFamilies } from "../../http/metrics.ts";
import type { ReplyCounts, RequestCounts } from "../../messaging/counts.ts";
import type { MadeCheck } from "../../precheck.ts";
import type { HostState, SnapshotWitness } from "../../snapshot/source.ts";
import { tally } from "../counting.ts";
import type { ReloadCounts } from "../daemon/reload.ts";
import { build } from "../version.ts";
import type { Bus, Role, ShadowState } from "./state.ts";

/** Upper ends of buckets, in seconds. */
const CHECK_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const AGE_BUCKETS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600];

/** From one look at the event loop to the next. */
const RESOLUTION_MS = 20;

/** What `/metrics` reads elsewhere. */
export interface MetricsSources {
	/** Absent where there is no bus to answer on. */
	readonly server:
		| { readonly requests: RequestCounts; readonly replies: ReplyCounts; readonly inFlight: number }
		| undefined;
	/** Checks that were not made, by the limit; absent where there is no bus to answer on. */
	readonly rateLimited: Readonly<Record<string, number>> | undefined;
	readonly buses: readonly Bus[];
	readonly hosts: readonly HostState[];
	readonly shadows: readonly ShadowState[];
	/** Keys of messages that were not taken. */
	readonly unsafeKeys: number;
	/** Agents fail everywhere: see Outage. */
	readonly systemic: boolean;
	readonly reloads: ReloadCounts;
	/** When the service's own end, in seconds since 1970, by whom it shows them to. */
	readonly certificates: Readonly<Record<string, number>>;
	/** What could not be written; undefined without a journal. */
	readonly lost: { readonly logLines: number; readonly journalEntries: number | undefined };
}

/**
 * What the service counts of its checks and its agents, and all its metrics for Prometheus. Labels have values of which there are few:
 * no host, no id.
 */
export class ServiceMetrics implements SnapshotWitness {
	readonly #checks: Readonly<Record<Role, Record<Verdict, number>>> = { service: noVerdicts(), shadow: noVerdicts() };
	readonly #reasons = Object.fromEntries(Object.keys(REASON_CODES).map((code) => [code, 0])) as Record<
		ReasonCode,
		number
	>;
	readonly #durations = new Histogram(CHECK_BUCKETS);
	readonly #agentRequests: Record<string, number> = { ok: 0 };
	readonly #agentDurations = new Histogram(CHECK_BUCKETS);
	readonly #ages = new Histogram(AGE_BUCKETS);
	readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

	checked(role: Role, { decision, duration }: Pick<MadeCheck, "decision" | "duration">): void {
		this.decided(role, decision);
		this.#durations.observe(duration / 1000);
	}

	/** By itself where no check could be made. */
	decided(role: Role, { verdict, reasons }: Pick<Decision, "verdict" | "reasons">): void {
		this.#checks[role][verdict]++;
		for (const { code } of reasons) this.#reasons[code]++;
	}

	asked(outcome: Parameters<SnapshotWitness["asked"]>[0], seconds: number): void {
		this.#agentRequests[outcome] = (this.#agentRequests[outcome] ?? 0) + 1;
		this.#agentDurations.observe(seconds);
	}

	used(age: number): void {
		this.#ages.observe(age);
	}

	/** Prometheus' text format. */
	async render({
		server,
		rateLimited,
		unsafeKeys,
		buses,
		hosts,
		shadows,
		systemic,
		reloads,
		certificates,
		lost,
	}: MetricsSources): Promise<string> {
		const families = [
			family(
				"novacompat_checks_total",
				"counter",
				"Checks by verdict, and by whether they were asked for or made in the shadow.",
				Object.entries(this.#checks).flatMap(([role, verdicts]) =>
					Object.entries(verdicts).map(([verdict, count]) => [{ role, verdict }, count] as const),
				),
			),
			this.#durations.family("novacompat_check_duration_seconds", "Time of checks, with the questions to agents."),
			countFamily("novacompat_reasons_total", "Reasons that checks gave.", "code", this.#reasons),
			...(server ? serverFamilies(server) : []),
			...(rateLimited
				? [countFamily("novacompat_rate_limited_total", "Checks that were too many to be made.", "limit", rateLimited)]
				: []),
			counter(
				"novacompat_unsafe_keys_total",
				"Keys __proto__, constructor and prototype that were left out of messages.",
				unsafeKeys,
			),
			countFamily(
				"novacompat_agent_requests_total",
				"Questions to agents by outcome, two tries at most counted as one.",
				"outcome",
				this.#agentRequests,
			),
			this.#agentDurations.family(
				"novacompat_agent_request_duration_seconds",
				"Time of questions to agents, both tries together.",
			),
			gaugeBy(
				"novacompat_agent_breaker_state",
				"Agents that are known, by state: nobody asks one that is quiet or open.",
				"state",
				{
					closed: 0,
					quiet: 0,
					open: 0,
					...tally(hosts.map(({ breaker }) => breaker)),
				},
			),
			gauge("novacompat_systemic_unknown", "1 while agents fail everywhere and not here and there.", Number(systemic)),
			this.#ages.family("novacompat_snapshot_age_seconds", "Age of snapshots when they were decided with."),
			...busFamilies(buses),
			...(shadows.length > 0 ? [shadowFamily(shadows)] : []),
			countFamily("novacompat_config_reload_total", "Reloads of the configuration.", "result", {
				success: reloads.success,
				failure: reloads.failure,
			}),
			gauge(
				"novacompat_config_last_reload_success_timestamp_seconds",
				"When the configuration was read well, in seconds since 1970.",
				reloads.last_success,
			),
			gaugeBy(
				"novacompat_certificate_expiry_timestamp_seconds",
				"When the service's own certificates end, in seconds since 1970.",
				"peer",
				certificates,
			),
			...lostFamilies(lost),
			family("novacompat_build_info", "gauge", "Always 1, with version and commit as labels.", [[{ ...build() }, 1]]),
			...(await this.#lagFamilies()),
			...processFamilies("the service"),
		];
		return families.join("");
	}

	async #lagFamilies(): Promise<readonly string[]> {
		this.#delays.enable();
		const started = performance.now();
		await nextTurn();
		const now = (performance.now() - started) / 1000;
		const longest = Math.max(0, this.#delays.max / 1e6 - RESOLUTION_MS) / 1000;
		this.#delays.reset();
		return [
			gauge("nodejs_eventloop_lag_seconds", "How long what was due had to wait just now.", now),
			gauge("nodejs_eventloop_lag_max_seconds", "The longest that it had to since the last scrape.", longest),
		];
	}
}

function serverFamilies({ requests, replies, inFlight }: NonNullable<MetricsSources["server"]>): readonly string[] {
	return [
		countFamily("novacompat_messages_total", "Messages that were taken, by outcome.", "outcome", { ...requests }),
		countFamily("novacompat_replies_total", "Replies by outcome.", "outcome", { ...replies }),
		gauge("novacompat_inflight", "Messages that are here and not answered yet.", inFlight),
	];
}

function busFamilies(buses: readonly Bus[]): readonly string[] {
	const samples = (value: (bus: Bus) => number) => buses.map((bus) => [labelsOf(bus), value(bus)] as const);
	return [
		family(
			"novacompat_amqp_connected",
			"gauge",
			"1 while there is a connection to RabbitMQ.",
			samples(({ state }) => Number(state.connected !== undefined)),
		),
		family(
			"novacompat_amqp_consuming",
			"gauge",
			"1 while all queues are being consumed.",
			samples(({ state }) => Number(state.consuming)),
		),
		family(
			"novacompat_amqp_reconnects_total",
			"counter",
			"Connections after the first one.",
			samples(({ state }) => Math.max(0, state.connections - 1)),
		),
		family(
			"novacompat_amqp_blocked",
			"gauge",
			"1 while RabbitMQ takes no messages.",
			samples(({ state }) => Number(state.blocked)),
		),
	];
}

function lostFamilies({ logLines, journalEntries }: MetricsSources["lost"]): readonly string[] {
	return [
		counter("novacompat_log_lines_dropped_total", "Lines of the log that nobody took.", logLines),
		...(journalEntries === undefined
			? []
			: [
					counter("novacompat_journal_entries_dropped_total", "Decisions that are not in the journal.", journalEntries),
				]),
	];
}

/** The operator gives cells their names. */
function labelsOf({ role, cell }: Bus): Readonly<Record<string, string>> {
	return cell === undefined ? { role } : { role, cell };
}

function shadowFamily(shadows: readonly ShadowState[]): string {
	const samples = shadows.flatMap(({ cell, agreement }) =>
		agreement.samples().map(({ verdict, allowed, outcome, exact, count }) => {
			return [{ cell, verdict, allowed: String(allowed), outcome, exact: String(exact) }, count] as const;
		}),
	);
	return family("novacompat_shadow_decisions_total", "counter", "Decisions in the shadow, by what Nova did.", samples);
}

function counter(name: string, help: string, value: number): string {
	return family(name, "counter", help, [[{}, value]]);
}

function gauge(name: string, help: string, value: number): string {
	return family(name, "gauge", help, [[{}, value]]);
}

function gaugeBy(name: string, help: string, label: string, values: Readonly<Record<string, number>>): string {
	return family(
		name,
		"gauge",
		help,
		Object.entries(values).map(([value, count]) => [{ [label]: value }, count] as const),
	);
}

function noVerdicts(): Record<Verdict, number> {
	return { accept: 0, conditional: 0, reject: 0, unknown: 0 };
}
