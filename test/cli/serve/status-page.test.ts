import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { RecentChecks } from "../../../src/cli/serve/recent-checks.ts";
import { type Status, statusPage } from "../../../src/cli/serve/status-page.ts";
import { DEFAULT_POLICY } from "../../../src/compat/policy.ts";
import { Agreement } from "../../../src/nova/agreement.ts";
import { SnapshotError } from "../../../src/snapshot/source.ts";
import { makeCheck, REQUEST, snapshot, WAYS } from "../../support/checks.ts";
import { dumpDom } from "../../support/chromium.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

const STATE = { connected: "rabbit h:5672", connections: 1, consuming: true, blocked: false, inequivalent: [] };
const EMPTY: Status = {
	name: "novacompat-1",
	notReady: undefined,
	buses: [{ role: "service", state: STATE }],
	checks: [],
	hosts: [],
	shadows: [],
	policy: DEFAULT_POLICY,
	now: Date.UTC(2026, 10, 25, 12),
};
const EVIL = `"'><b onmouseover=alert(1)><script>document.title='hit'</script><img src=x>&lt;\u202e\n`;

/** A script that a page runs after its own, and that writes what the browser made of the page into its title. */
const PROBE = `<script>
document.title = "PROBE" + JSON.stringify({
	strangers: [...document.querySelectorAll("script:not(:last-of-type), img, link, iframe, [onmouseover]")].length,
	badges: [...document.querySelectorAll(".badge")].map((badge) => [badge.textContent, getComputedStyle(badge).backgroundColor]),
	styled: getComputedStyle(document.body).fontSize,
	wide: document.documentElement.scrollWidth > innerWidth,
});
</script>`;

interface Probed {
	readonly strangers: number;
	readonly badges: readonly (readonly [string, string])[];
	readonly styled: string;
	readonly wide: boolean;
}

/** The page as it is, but for its policy, which forbids the probe. */
function probe(html: string): Probed {
	const file = join(directory, "status.html");
	writeFileSync(file, html.replace(/<meta http-equiv=[^>]*>/, "").replace("</body>", `${PROBE}</body>`));
	const title = /<title>PROBE(.*?)<\/title>/s.exec(dumpDom(`file://${file}`))?.[1];
	if (title === undefined) throw new Error("the probe did not run");
	return JSON.parse(title);
}

/** Every way in which a check can end, the last one first. */
async function everyCheck() {
	const recent = new RecentChecks();
	for (const way of Object.values(WAYS)) recent.add("service", await makeCheck(way));
	return recent.list();
}

test("nothing has happened yet", () => {
	const page = statusPage({ ...EMPTY, notReady: "starting", buses: [] });
	expect(page).toMatch(/not ready<\/span> starting/);
	expect(page).toContain("None since the start.");
	expect(page).toContain("It needs the snapshots of two hosts.");
	expect(page).not.toContain("In the shadow");
});

test("a check: time, verdict, way, reasons, instance and request ids, and nothing else of it", async () => {
	const [check] = await everyCheck();
	const { request_id, instance_uuid, id } = check ?? {};
	const page = statusPage({ ...EMPTY, checks: await everyCheck() });
	for (const word of [
		request_id,
		instance_uuid,
		id,
		"version.minor_downgrade",
		"→ cmp-02",
		"cmp-01-gpu → cmp-02-gpu",
	]) {
		expect(page).toContain(word);
	}
	expect(Object.keys(check ?? {}).sort()).toEqual(
		[
			"allowed at dest_host duration global_request_id id instance_uuid mapping",
			"reasonCount reasons request_id role source_host verdict",
		]
			.join(" ")
			.split(" "),
	);
});

test("a hundred checks are kept, sixteen reasons of each", async () => {
	const recent = new RecentChecks();
	const made = await makeCheck(WAYS["reject"] as (typeof WAYS)[string]);
	const [reason] = made.decision.reasons;
	const reasons = Array.from({ length: 40 }, () => reason as NonNullable<typeof reason>);
	for (let index = 0; index < 250; index++) {
		recent.add("service", { ...made, decision: { ...made.decision, reasons, id: `id-${index}` } });
	}
	const checks = recent.list();
	expect(checks.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, index) => `id-${249 - index}`));
	expect(checks[0]?.reasons).toHaveLength(16);
	expect(statusPage({ ...EMPTY, checks })).toContain("<summary>39 more</summary>");
});

test("agents: those that failed first, with their failure", () => {
	const failure = { code: "agent.timeout", message: "no answer", age: 3.4 } as const;
	const page = statusPage({
		...EMPTY,
		hosts: [
			{ host: "cmp-01", breaker: "closed", snapshot: snapshot("cmp-01", "1.1.0"), age: 12.3 },
			{ host: "cmp-02", breaker: "open", failure },
		],
	});
	expect(page).toMatch(
		/cmp-02<.*breaker open.*none.*agent\.timeout<\/b> no answer, 3 s ago.*cmp-01<.*answers.*12 s old/s,
	);
});

test("the shadow of a cell: how often we and Nova came to the same", () => {
	const agreement = new Agreement();
	agreement.add({ verdict: "reject", allowed: false }, "accepted");
	const page = statusPage({ ...EMPTY, shadows: [{ cell: "cell1", agreement }] });
	expect(page).toContain("1 checks: agreed with Nova on 0; would have rejected 1 that Nova accepted");
});

test("of many hosts the heat map shows 32, and says so", () => {
	const hosts = Array.from({ length: 40 }, (_, index) => {
		const host = `cmp-${String(index).padStart(2, "0")}`;
		return { host, breaker: "closed" as const, snapshot: snapshot(host, "1.1.0"), age: 1 };
	});
	const page = statusPage({ ...EMPTY, hosts });
	expect(page).toContain("The first 32 of 40 hosts");
	expect(page.match(/<td class="accept" title=/g)).toHaveLength(32 * 31);
});

test("of hosts with hundreds of devices that differ it shows fewer, so that checks need not wait for it", () => {
	const hosts = Array.from({ length: 32 }, (_, index) => {
		const { devices, ...one } = snapshot(`cmp-${String(index).padStart(2, "0")}`, "1.1.0");
		const [device] = devices;
		const many = Array.from({ length: 200 }, (_, version) => ({
			...(device as NonNullable<typeof device>),
			id: `gpu-${version}`,
			attributes: { ...device?.attributes, software_version: `1.${index < 2 ? 0 : version}.0` },
		}));
		return { host: one.host, breaker: "closed" as const, snapshot: { ...one, devices: many }, age: 1 };
	});
	const page = statusPage({ ...EMPTY, hosts });
	expect(page).toContain("The first 2 of 32 hosts");
	expect(page.match(/<td class="\w+" title=/g)).toHaveLength(2);
});

test("the page needs nothing from anywhere, and allows nothing but its own style sheet", () => {
	const page = statusPage(EMPTY);
	expect(page).toMatch(/content="default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='"/);
	expect(page).not.toMatch(/https?:|src=|href=|@import|url\(|<script| style=/);
	expect(page).toContain("color-scheme: light dark");
});

describe("in Chromium", { timeout: 60_000 }, () => {
	test("verdicts have colours that differ, and the page is no wider than the window", async () => {
		const { badges, styled, strangers, wide } = probe(statusPage({ ...EMPTY, checks: await everyCheck() }));
		const colours = new Map(badges);
		expect([...colours.keys()].sort()).toEqual(
			["ready", "accept", "accept with warnings", "reject", "unknown, refused", "yes"].sort(),
		);
		expect(
			new Set(["accept", "accept with warnings", "reject", "unknown, refused"].map((word) => colours.get(word))).size,
		).toBe(4);
		expect({ styled, strangers, wide }).toEqual({ styled: "14px", strangers: 0, wide: false });
	});

	test("names and texts are text, whatever is in them", async () => {
		const request = { ...REQUEST, instance_uuid: EVIL, source_host: EVIL, dest_host: `${EVIL}2` };
		const source = { ...snapshot(EVIL, EVIL), host: EVIL };
		const recent = new RecentChecks();
		recent.add("service", await makeCheck({ source, target: new SnapshotError("agent.timeout", EVIL) }, request));
		const page = statusPage({
			...EMPTY,
			name: EVIL,
			notReady: EVIL,
			checks: recent.list(),
			hosts: [
				{
					host: EVIL,
					breaker: "open",
					snapshot: source,
					age: 1,
					failure: { code: "agent.timeout", message: EVIL, age: 1 },
				},
				{ host: `${EVIL}2`, breaker: "closed", snapshot: { ...source, host: `${EVIL}2` }, age: 1 },
			],
			shadows: [{ cell: EVIL, agreement: new Agreement() }],
			buses: [{ role: "shadow", cell: EVIL, state: STATE }],
		});
		expect(page).not.toMatch(/<script|<img|\u202e/);
		expect(probe(page).strangers).toBe(0);
	});
});
