import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { REPOSITORY } from "../support/cli.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const ALERTS = `${REPOSITORY}config/prometheus-alerts.yaml`;

interface Rules {
	readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}
interface Dashboard {
	readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const rules = (parse(readFileSync(ALERTS, "utf8")) as Rules).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFileSync(`${REPOSITORY}config/grafana-dashboard.json`, "utf8")) as Dashboard;

/** Every metric that the alerts and the dashboard ask for; `_bucket` is a part of a histogram. */
const asked = new Set(
	[...rules.map(({ expr }) => expr), ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr))]
		.flatMap((expr) => [...expr.matchAll(/\b(novacompat_[a-z_]+|process_[a-z_]+|nodejs_[a-z_]+)/g)])
		.map(([, name = ""]) => name.replace(/_bucket$/, "")),
);

/** Where metrics are made: what is asked for and not there would be silent for ever. */
const sources = ["src/cli/serve/metrics.ts", "src/agent/metrics.ts", "src/http/metrics.ts"]
	.filter((path) => existsSync(`${REPOSITORY}${path}`))
	.map((path) => readFileSync(`${REPOSITORY}${path}`, "utf8"))
	.join("\n");

test.each([...asked])("%s is a metric of ours", (name) => {
	expect(sources).toContain(`"${name}"`);
});

const guide = readFileSync(`${REPOSITORY}config/README.md`, "utf8");
const made = [...sources.matchAll(/"((?:novacompat|process|nodejs)_[a-z_]+)"/g)].map(([, name = ""]) => name);
test.each([...new Set(made)])("config/README.md has %s", (name) => {
	expect(guide).toContain(`\`${name}\``);
});

describe("promtool", () => {
	function promtool(...words: readonly string[]) {
		const { error, ...result } = spawnSync("/usr/bin/promtool", words, { encoding: "utf8" });
		if (error) throw new Error("no promtool: run test/support/install-peers.sh", { cause: error });
		return result;
	}

	test("takes the alert rules", () => {
		const { status, stdout } = promtool("check", "rules", ALERTS);
		expect([status, stdout]).toEqual([0, expect.stringContaining(`${rules.length} rules found`)]);
	});

	test("takes every expression of the dashboard", () => {
		const groups = [
			{
				name: "dashboard",
				rules: dashboard.panels.flatMap(({ targets }, panel) =>
					targets.map(({ expr }, target) => ({
						record: `panel:${panel}:${target}`,
						expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
					})),
				),
			},
		];
		const file = join(temporaryDirectory(), "dashboard.yaml");
		writeFileSync(file, JSON.stringify({ groups }));
		expect(promtool("check", "rules", file).status).toBe(0);
	});

	/** Metric, minutes of its values, and what is to fire then. */
	test.each([
		["novacompat_systemic_unknown", "1x10", "NovacompatSystemicOutage"],
		["novacompat_amqp_connected", "0x10", "NovacompatBrokerLost"],
		["novacompat_amqp_consuming", "0x10", "NovacompatNotConsuming"],
		["novacompat_agent_connections", "1x10", "NovacompatAgentStuck"],
		['up{job="novacompat-agent"}', "0x10", "NovacompatAgentDown"],
		['novacompat_config_reload_total{result="failure"}', "0 0 1 1 1 1 1 1 1 1 1", "NovacompatReloadFailed"],
		["novacompat_agent_snapshot_age_seconds", "300x10", "NovacompatAgentStuck"],
		["novacompat_journal_entries_dropped_total", "0 0 0 0 7x7", "NovacompatJournalIncomplete"],
		["novacompat_log_lines_dropped_total", "0 0 0 0 7x7", "NovacompatLogIncomplete"],
		['novacompat_certificate_expiry_timestamp_seconds{peer="broker"}', "1800000x10", "NovacompatCertificateEnds"],
		['novacompat_certificate_expiry_timestamp_seconds{peer="agents"}', "600000x10", "NovacompatCertificateEndsInAWeek"],
		['novacompat_certificate_expiry_timestamp_seconds{peer="agents"}', "86000x10", "NovacompatCertificateEndsInADay"],
	])("an alert fires: %s %s", (series, values, alert) => {
		const directory = temporaryDirectory();
		mkdirSync(directory, { recursive: true });
		const file = join(directory, "test.yaml");
		const input_series = [{ series, values }];
		// An empty list of alerts: promtool then prints those that fired.
		const alert_rule_test = [{ eval_time: "8m", alertname: alert, exp_alerts: [] }];
		writeFileSync(
			file,
			JSON.stringify({
				rule_files: [ALERTS],
				evaluation_interval: "1m",
				tests: [{ interval: "1m", input_series, alert_rule_test }],
			}),
		);
		const { status, stdout, stderr } = promtool("test", "rules", file);
		expect(status).toBe(1);
		expect(stdout + stderr).toContain(`alertname="${alert}"`);
	});
});
