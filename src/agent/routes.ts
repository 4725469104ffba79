import { type Answer, type Asked, healthcheck, json, metricsPage, type Routes, routed } from "../http/answer.ts";
import { problem } from "../http/problems.ts";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { type Metrics, renderMetrics } from "./metrics.ts";
import { SNAPSHOT_SCHEMA_VERSION } from "./scan.ts";
import { type ScanResult, SnapshotUnavailable } from "./scan-result.ts";

/** A scan that ended longer ago than this is no sign of health. */
const UNHEALTHY_AFTER_MS = 120_000;
const RETRY_AFTER = { "Retry-After": "5" };

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const INSTANCE_DEVICES = /^\/v1\/instances\/([^/?]*)\/devices$/;

/** What the routes answer from. */
export interface Sources {
	/** The last scan. @throws {SnapshotUnavailable} */
	readonly latest: () => ScanResult | Promise<ScanResult>;
	/** What the server counts. */
	readonly counts: () => Omit<Metrics, "snapshotAge">;
	/** Whether whoever asks after the health may know more than whether it is good. */
	readonly detailed: boolean;
}

/** What tells nothing of the devices of the host, nor of its guests. */
const MONITORING: Routes<Sources> = {
	"/livez": healthcheck(() => undefined),
	"/readyz": healthcheck(ailment),
	"/healthcheck": healthcheck(ailment, details),
	"/metrics": { GET: metrics },
};

/** Everything that the agent serves, besides the devices of an instance. */
const ROUTES: Routes<Sources> = {
	"/": { GET: () => json(VERSIONS) },
	"/v1/snapshot": { GET: snapshot },
	...MONITORING,
};

/** As Placement and other services of OpenStack list theirs; versions are those of the snapshot's schema. */
const VERSIONS = {
	versions: [
		{
			id: "v1",
			status: "CURRENT",
			min_version: "1.0",
			max_version: SNAPSHOT_SCHEMA_VERSION,
			links: [{ rel: "self", href: "/v1/snapshot" }],
		},
	],
};

/** Answers a request; there are no parameters and no bodies. What is thrown is a bug. */
export async function answer(method: string, url: string, asked: Asked, sources: Sources): Promise<Answer> {
	const served = [...Object.keys(ROUTES), "/v1/instances/{uuid}/devices"];
	try {
		return await routed(routeOf(url), method, served, sources, asked);
	} catch (error) {
		if (!(error instanceof SnapshotUnavailable)) throw error;
		return { ...problem("snapshot-unavailable", error.message), headers: RETRY_AFTER };
	}
}

/** Answers for health and metrics only, where whoever asks need not show who he is; they are answered without a scan, too. */
export function answerMonitoring(
	method: string,
	url: string,
	asked: Asked,
	sources: Sources,
): Answer | Promise<Answer> {
	const methods = Object.hasOwn(MONITORING, url) ? MONITORING[url] : undefined;
	return routed(methods, method, Object.keys(MONITORING), sources, asked);
}

function routeOf(url: string): Routes<Sources>[string] | undefined {
	if (Object.hasOwn(ROUTES, url)) return ROUTES[url];
	const [, uuid] = INSTANCE_DEVICES.exec(url) ?? [];
	return uuid === undefined ? undefined : { GET: (sources) => instanceDevices(sources, uuid) };
}

async function snapshot({ latest }: Sources, { ifNoneMatch = "" }: Asked): Promise<Answer> {
	const { body, etag, collectedAt } = await latest();
	const headers = { ETag: etag, ...collectedAge(collectedAt) };
	const known = ifNoneMatch === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
	return known ? { status: 304, headers } : { status: 200, type: "application/json", body, headers };
}

/** An instance that does not run here is an answer. */
async function instanceDevices({ latest }: Sources, instance: string): Promise<Answer> {
	if (!UUID.test(instance)) {
		return problem("bad-request", `got ${JSON.stringify(instance.slice(0, 100))}, expected the uuid of an instance`);
	}
	const { body, running, collectedAt } = await latest();
	const isRunning = running.has(instance);
	const devices = isRunning ? devicesOf(instance, body) : [];
	return json({ instance, running: isRunning, devices }, collectedAge(collectedAt));
}

type Attached = ReadonlyMap<string, readonly SnapshotDevice[]>;

/** By instance, of bodies about which somebody has asked. */
const attached = new WeakMap<Buffer, Attached>();

function devicesOf(instance: string, body: Buffer): readonly SnapshotDevice[] {
	const known = attached.get(body) ?? readAttached(body);
	attached.set(body, known);
	return known.get(instance) ?? [];
}

/** When somebody asks, which the service never does: no scan costs the agent the time that this takes. */
function readAttached(body: Buffer): Attached {
	const found = new Map<string, SnapshotDevice[]>();
	const { devices } = JSON.parse(body.toString()) as Snapshot;
	for (const device of devices) {
		const { instance } = device;
		if (instance === undefined) continue;
		const own = found.get(instance);
		if (own) own.push(device);
		else found.set(instance, [device]);
	}
	return found;
}

async function metrics({ latest, counts }: Sources): Promise<Answer> {
	const age = await ageOf(latest);
	const snapshotAge = typeof age === "number" ? age / 1000 : undefined;
	return metricsPage(renderMetrics({ ...counts(), snapshotAge }));
}

async function ailment({ latest }: Sources): Promise<string | undefined> {
	const age = await ageOf(latest);
	if (typeof age === "string") return age;
	return age < UNHEALTHY_AFTER_MS ? undefined : `the last scan ended ${Math.round(age / 1000)} s ago`;
}

/** Words of our own and numbers: why a scan has failed would name guests and files. */
async function details({ latest, counts, detailed }: Sources): Promise<string | undefined> {
	if (!detailed) return undefined;
	const { scans, tls } = counts();
	const age = await ageOf(latest);
	const good = typeof age === "number" ? `ended ${Math.round(age / 1000)} s ago` : "none";
	const certificate = tls ? `ends ${new Date(tls.expiry * 1000).toISOString()}` : "none";
	return `last scan: ${scans.last ?? "none"}; last good scan: ${good}; certificate: ${certificate}`;
}

/** Milliseconds since the last scan; or why there is none. */
async function ageOf(latest: Sources["latest"]): Promise<number | string> {
	try {
		return performance.now() - (await latest()).collectedAt;
	} catch (error) {
		if (!(error instanceof SnapshotUnavailable)) throw error;
		return error.message;
	}
}

function collectedAge(collectedAt: number): Readonly<Record<string, string>> {
	return { "Collected-Age-Ms": String(Math.max(0, Math.round(performance.now() - collectedAt))) };
}
