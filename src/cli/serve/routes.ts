import { isIP } from "node:net";
import { hostname } from "node:os";
import { type Answer, type Asked, healthcheck, metricsPage, type Routes, routed } from "../../http/answer.ts";
import { problem } from "../../http/problems.ts";

/** What the routes answer from. */
export interface ServiceSources {
	/** Why the service is not ready; undefined when it is. */
	readonly notReady: () => string | undefined;
	/** How it stands with what it needs; undefined when nobody shall know. */
	readonly details: () => string | undefined;
	readonly metrics: () => Promise<string>;
	/** The status page; undefined when there shall be none. */
	readonly page: (() => string) | undefined;
}

const ready = healthcheck<ServiceSources>(
	({ notReady }) => notReady(),
	({ details }) => details(),
);

/** Everything that the service serves over HTTP. */
const ROUTES: Routes<ServiceSources> = {
	"/livez": healthcheck(() => undefined),
	"/readyz": ready,
	"/healthcheck": ready,
	"/metrics": { GET: async ({ metrics }) => metricsPage(await metrics()) },
};
const PAGE: Routes<ServiceSources> = { "/": { GET: statusPage } };

const PAGE_HEADERS = {
	"Content-Security-Policy": "frame-ancestors 'none'",
	"X-Content-Type-Options": "nosniff",
	"Referrer-Policy": "no-referrer",
};

/** Answers a request; there are no parameters and no bodies. What is thrown is a bug. */
export function answer(method: string, url: string, asked: Asked, sources: ServiceSources): Answer | Promise<Answer> {
	const routes = sources.page ? { ...PAGE, ...ROUTES } : ROUTES;
	const methods = Object.hasOwn(routes, url) ? routes[url] : undefined;
	return routed(methods, method, Object.keys(routes), sources, asked);
}

function statusPage({ page }: ServiceSources, { host }: Asked): Answer {
	if (!isOurs(host))
		return problem("misdirected", `Host is ${JSON.stringify(host)}, expected an address, localhost or ${hostname()}`);
	return { status: 200, type: "text/html; charset=utf-8", body: page?.() ?? "", headers: PAGE_HEADERS };
}

/** A site whose name leads here could read the page with the browser of who visits it, as one of its own. */
function isOurs(host: string): boolean {
	const name = host.replace(/:\d+$/, "").toLowerCase();
	return isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0 || name === "localhost" || name === hostname().toLowerCase();
}
