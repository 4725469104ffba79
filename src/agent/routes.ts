import { type Metrics, renderMetrics } from "./metrics.ts";
import { problem } from "./problems.ts";
import { SNAPSHOT_SCHEMA_VERSION } from "./scan.ts";
import { type ScanResult, SnapshotUnavailable } from "./scan-result.ts";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

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
}

export interface Answer {
	readonly status: number;
	readonly type?: string;
	readonly body?: string | Buffer;
	readonly headers?: Readonly<Record<string, string>>;
}

/** The headers that an answer may depend on. */
export interface Asked {
	readonly accept: string;
	readonly ifNoneMatch: string | undefined;
}

type Route = (sources: Sources, asked: Asked) => Answer | Promise<Answer>;

/** Everything that the agent serves, besides the devices of an instance. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, Route>>>> = {
	"/": { GET: () => json(VERSIONS) },
	"/v1/snapshot": { GET: snapshot },
	"/healthcheck": { GET: healthcheck, HEAD: async (sources) => ({ status: (await ailment(sources)) ? 503 : 204 }) },
	"/metrics": { GET: metrics },
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
	const methods = routeOf(url);
	if (methods === undefined) {
		const served = [...Object.keys(ROUTES), "/v1/instances/{uuid}/devices"];
		return problem("not-found", `served are ${served.join(", ")}`);
	}
	const allow = Object.keys(methods).join(", ");
	const route = Object.hasOwn(methods, method) ? methods[method] : undefined;
	if (route === undefined) return { ...problem("method-not-allowed", `allowed: ${allow}`), headers: { Allow: allow } };
	try {
		return await route(sources, asked);
	} catch (error) {
		if (!(error instanceof SnapshotUnavailable)) throw error;
		return { ...problem("snapshot-unavailable", error.message), headers: RETRY_AFTER };
	}
}

function routeOf(url: string): Readonly<Record<string, Route>> | undefined {
	if (Object.hasOwn(ROUTES, url)) return ROUTES[url];
	const [, uuid] = INSTANCE_DEVICES.exec(url) ?? [];
	return uuid === undefined ? undefined : { GET: (sources) => instanceDevices(sources, uuid) };
}

async function snapshot({ latest }: Sources, { ifNoneMatch = "" }: Asked): Promise<Answer> {
	const { body, etag, collectedAt } = await latest();
	const headers = { ETag: etag, ...collectedAge(collectedAt) };
	const known = ifNoneMatch === "*" || ifNoneMatch.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
	return known ? { status: 304, headers } : { status: 200, type: JSON_TYPE, body, headers };
}

/** An instance that does not run here is an answer. */
async function instanceDevices({ latest }: Sources, instance: string): Promise<Answer> {
	if (!UUID.test(instance)) {
		return problem("bad-request", `got ${JSON.stringify(instance.slice(0, 100))}, expected the uuid of an instance`);
	}
	const { instances, collectedAt } = await latest();
	const devices = Object.hasOwn(instances, instance) ? instances[instance] : undefined;
	return json({ instance, running: devices !== undefined, devices: devices ?? [] }, collectedAge(collectedAt));
}

async function metrics({ latest, counts }: Sources): Promise<Answer> {
	const age = await ageOf(latest);
	const snapshotAge = typeof age === "number" ? age / 1000 : undefined;
	return { status: 200, type: METRICS_TYPE, body: renderMetrics({ ...counts(), snapshotAge }) };
}

/** The contract of oslo.middleware's healthcheck. */
async function healthcheck(sources: Sources, { accept }: Asked): Promise<Answer> {
	const reason = await ailment(sources);
	const status = reason === undefined ? 200 : 503;
	const reasons = [reason ?? "OK"];
	if (!accept.includes(JSON_TYPE)) return { status, type: TEXT_TYPE, body: reasons.join("\n") };
	return { ...json({ detailed: false, reasons }), status };
}

async function ailment({ latest }: Sources): Promise<string | undefined> {
	const age = await ageOf(latest);
	if (typeof age === "string") return age;
	return age < UNHEALTHY_AFTER_MS ? undefined : `the last scan ended ${Math.round(age / 1000)} s ago`;
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

function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
	return { status: 200, type: JSON_TYPE, body: JSON.stringify(value), headers };
}
