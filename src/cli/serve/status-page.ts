import { type HostDevices, matrix } from "../../compat/matrix.ts";
import type { Policy } from "../../compat/policy.ts";
import { poolsOf } from "../../compat/pool.ts";
import type { Reason } from "../../compat/reason.ts";
import { localTime } from "../../log/time.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { HostState } from "../../snapshot/source.ts";
import { escapeHtml, htmlPage } from "../render/html.ts";
import { CELLS } from "../render/matrix.ts";
import { MATRIX_STYLE, matrixSections } from "../render/matrix-page.ts";
import { build } from "../version.ts";
import type { RecentCheck } from "./recent-checks.ts";
import { type Bus, nameOf, type ShadowState } from "./state.ts";

/** What the page shows of the service. */
export interface Status {
	/** Of this service on the bus. */
	readonly name: string;
	readonly notReady: string | undefined;
	readonly buses: readonly Bus[];
	readonly checks: readonly RecentCheck[];
	readonly hosts: readonly HostState[];
	readonly shadows: readonly ShadowState[];
	readonly policy: Policy;
	/** Milliseconds since 1970. */
	readonly now: number;
}

/** Checks wait while a heat map is made: each pool of devices, of all hosts together, is compared with each. */
const MAX_MATRIX_HOSTS = 32;
const MAX_MATRIX_POOLS = 128;
const MAX_AGENTS = 200;
/** Of devices, in a check. */
const MAX_PAIRS = 8;

const STYLE = `${MATRIX_STYLE}
.list { border-collapse: collapse; }
.list th, .list td { text-align: left; vertical-align: top; padding: .35em 1em .35em 0; border-bottom: 1px solid var(--line); }
.list th { font-weight: 600; white-space: nowrap; }
.list small { opacity: .75; }
.badge { padding: .1em .5em; border-radius: 3px; white-space: nowrap; }
.reasons { min-width: 30em; }
.id { font-family: ui-monospace, monospace; font-size: .9em; }
.id, .line { white-space: nowrap; }
details summary { cursor: pointer; }
h2 + h3, .maps h3 { margin-top: 1em; }
ul { margin: .3em 0; padding-left: 1.2em; }
`;

/** The state of the service for people. All names and texts come from hosts and messages. */
export function statusPage(status: Status): string {
	const { name, notReady, now, buses, shadows } = status;
	const state =
		notReady === undefined ? badge("accept", "ready") : `${badge("reject", "not ready")} ${escapeHtml(notReady)}`;
	const body = `<h1>novacompat on ${escapeHtml(name)}</h1>
<p>${state}</p>
<p><small>version ${escapeHtml(build().version)}, ${localTime(now)}; this page does not change by itself</small></p>
<h2>Recent checks</h2>
${checksTable(status)}
<h2>Agents</h2>
${agentsTable(status)}
<h2>Which host takes which devices</h2>
${heatMap(status)}
${shadows.length > 0 ? `<h2>In the shadow</h2>\n${shadows.map(shadowSection).join("\n")}` : ""}
<h2>Buses</h2>
${table(["bus", "connected", "consuming", "reconnects"], buses.map(busRow))}`;
	return htmlPage({ title: "novacompat status", style: STYLE, body });
}

function checksTable({ checks }: Status): string {
	if (checks.length === 0) return "<p>None since the start.</p>";
	const header = ["time", "verdict", "from → to", "reasons, or devices", "instance, request"];
	return table(header, checks.map(checkRow));
}

function checkRow(check: RecentCheck): readonly string[] {
	const { at, role, duration, verdict, allowed, id, source_host, dest_host, reasons, reasonCount } = check;
	const kind = verdict === "accept" && reasonCount > 0 ? "warnings" : verdict;
	const word = { ...CELLS, unknown: { word: `unknown, ${allowed ? "allowed" : "refused"}` } }[kind].word;
	const [first, ...others] = reasons;
	const list = others.map((one) => `<li>${reasonText(one)}</li>`).join("");
	const more = list && `<details><summary>${reasonCount - 1} more</summary><ul>${list}</ul></details>`;
	const ids = [check.request_id, check.global_request_id].filter((one) => one !== undefined && one !== null);
	return [
		`<span class="line">${localTime(at)}</span><br><small>${duration === undefined ? "not checked" : `${duration.toFixed(1)} ms`}${role === "shadow" ? ", in the shadow" : ""}</small>`,
		`${badge(kind, word)}<br><small class="id">${escapeHtml(id)}</small>`,
		`<span class="line">${escapeHtml(source_host)}<br>→ ${escapeHtml(dest_host)}</span>`,
		`<div class="reasons">${first ? reasonText(first) : devicesText(check)}${more}</div>`,
		[check.instance_uuid, ...ids].map((one) => `<span class="id">${escapeHtml(String(one))}</span>`).join("<br>"),
	];
}

function reasonText({ code, message }: Reason): string {
	return `<b>${escapeHtml(code)}</b> ${escapeHtml(message)}`;
}

function devicesText({ mapping }: RecentCheck): string {
	const pairs = Object.entries(mapping).map((pair) => pair.map(escapeHtml).join(" → "));
	return pairs.length > MAX_PAIRS
		? `${pairs.slice(0, MAX_PAIRS).join("<br>")}<br>${pairs.length - MAX_PAIRS} more`
		: pairs.join("<br>");
}

/** Those that failed come first. */
function agentsTable({ hosts }: Status): string {
	if (hosts.length === 0) return "<p>None was asked since the start.</p>";
	const sorted = [...hosts].sort((a, b) => Number(b.failure !== undefined) - Number(a.failure !== undefined));
	const rows = sorted.slice(0, MAX_AGENTS).map(agentRow);
	const more = hosts.length > MAX_AGENTS ? `<p>${hosts.length - MAX_AGENTS} more.</p>` : "";
	return table(["host", "agent", "snapshot", "devices", "last failure"], rows) + more;
}

/** How an agent stands that failed. */
const FAILED = { closed: "failed, asked again", quiet: "failed, left alone", open: "breaker open" } as const;

function agentRow({ host, breaker, snapshot, age, failure }: HostState): readonly string[] {
	return [
		escapeHtml(host),
		failure ? badge(breaker === "open" ? "reject" : "conditional", FAILED[breaker]) : badge("accept", "answers"),
		age === undefined ? "none" : `${age.toFixed(0)} s old`,
		String(snapshot?.devices.length ?? "-"),
		failure ? `<b>${failure.code}</b> ${escapeHtml(failure.message)}, ${failure.age.toFixed(0)} s ago` : "-",
	];
}

function busRow(bus: Bus): readonly string[] {
	const { state } = bus;
	const yes = (value: boolean) => (value ? badge("accept", "yes") : badge("reject", "no"));
	const connected = `${yes(state.connected !== undefined)}${state.blocked ? ` ${badge("reject", "blocked by RabbitMQ")}` : ""}`;
	return [escapeHtml(nameOf(bus)), connected, yes(state.consuming), String(Math.max(0, state.connections - 1))];
}

function shadowSection({ cell, agreement }: ShadowState): string {
	const rows = agreement
		.samples()
		.map(({ verdict, allowed, outcome, exact, count }) => [
			badge(verdict, verdict),
			allowed ? "accept" : "reject",
			outcome,
			exact ? "those that Nova chose" : "any that would do",
			String(count),
		]);
	const header = ["verdict", "we would", "Nova", "devices", "count"];
	return `<h3>${escapeHtml(cell)}</h3>\n<p>${escapeHtml(agreement.summary())}</p>\n${rows.length > 0 ? table(header, rows) : ""}`;
}

/** Of hosts whose snapshots are here. */
function heatMap({ hosts, policy }: Status): string {
	const known = hosts.flatMap(({ host, snapshot }) => (snapshot ? [{ host, snapshot }] : []));
	if (known.length < 2) return "<p>It needs the snapshots of two hosts.</p>";
	const shown = firstOf(known);
	const more = `<p>The first ${shown.length} of ${known.length} hosts; <code>novacompat matrix</code> shows all.</p>\n`;
	return (shown.length < known.length ? more : "") + matrixSections(matrix(shown, policy));
}

/** As many as can be compared in a moment; a Neutron port is nobody's to give or to take. */
function firstOf(hosts: readonly { readonly host: string; readonly snapshot: Snapshot }[]): readonly HostDevices[] {
	let pools = 0;
	const first: HostDevices[] = [];
	for (const { host, snapshot } of hosts.slice(0, MAX_MATRIX_HOSTS)) {
		const devices = snapshot.devices.filter(({ port }) => !port);
		pools += poolsOf(devices).length;
		if (pools > MAX_MATRIX_POOLS) break;
		first.push({ host, devices });
	}
	return first;
}

/** Cells are markup. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
	const head = header.map((name) => `<th scope="col">${name}</th>`).join("");
	const lines = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`);
	return `<div class="scroll"><table class="list">\n<thead><tr>${head}</tr></thead>\n<tbody>\n${lines.join("\n")}\n</tbody>\n</table></div>`;
}

function badge(kind: string, word: string): string {
	return `<span class="badge ${kind}">${escapeHtml(word)}</span>`;
}
