import { problem } from "./problems.ts";

const JSON_TYPE = "application/json";
const TEXT_TYPE = "text/plain; charset=utf-8";
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

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
	readonly host: string;
}

type Route<Sources> = (sources: Sources, asked: Asked) => Answer | Promise<Answer>;

/** What is served: by path, and by method. */
export type Routes<Sources> = Readonly<Record<string, Readonly<Record<string, Route<Sources>>>>>;

/** The answer of the route among those of one path; `served` names the paths that there are. */
export function routed<Sources>(
	methods: Routes<Sources>[string] | undefined,
	method: string,
	served: readonly string[],
	sources: Sources,
	asked: Asked,
): Answer | Promise<Answer> {
	if (methods === undefined) return problem("not-found", `served are ${served.join(", ")}`);
	const allow = Object.keys(methods).join(", ");
	const route = Object.hasOwn(methods, method) ? methods[method] : undefined;
	if (route === undefined) return { ...problem("method-not-allowed", `allowed: ${allow}`), headers: { Allow: allow } };
	return route(sources, asked);
}

export function json(value: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
	return { status: 200, type: JSON_TYPE, body: JSON.stringify(value), headers };
}

/** `body` is in Prometheus' text format. */
export function metricsPage(body: string): Answer {
	return { status: 200, type: METRICS_TYPE, body };
}

/** JSON rather than plain text; RFC 9110, 12.5.1. */
function prefersJson(accept: string): boolean {
	const ranges = accept.split(",").map((range) => {
		const [type = "", weight = "1"] = range.toLowerCase().split(/;\s*q=/);
		return { type: type.trim(), weight: Number(weight) };
	});
	const weightOf = (...names: readonly string[]) =>
		names.map((name) => ranges.find(({ type }) => type === name)?.weight).find((weight) => weight !== undefined) ?? 0;
	return weightOf(JSON_TYPE, "application/*", "*/*") > weightOf("text/plain", "text/*", "*/*");
}

/**
 * As oslo.middleware answers (oslo_middleware/healthcheck/__init__.py): GET with the reason, HEAD with the status alone. `ailment` says what
 * is wrong, if anything is; `details`, in JSON only, what there is to say in any case, where that is wanted.
 */
export function healthcheck<Sources>(
	ailment: (sources: Sources) => string | undefined | Promise<string | undefined>,
	details: (sources: Sources) => string | undefined | Promise<string | undefined> = () => undefined,
): Routes<Sources>[string] {
	return {
		async GET(sources, { accept }) {
			const reason = await ailment(sources);
			const status = reason === undefined ? 200 : 503;
			const reasons = [reason ?? "OK"];
			if (!prefersJson(accept)) return { status, type: TEXT_TYPE, body: reasons.join("\n") };
			const detail = await details(sources);
			if (detail === undefined) return { ...json({ detailed: false, reasons }), status };
			const detailed = reasons.map((reason) => ({ class: "HealthcheckResult", reason, details: detail }));
			return { ...json({ detailed: true, reasons: detailed }), status };
		},
		async HEAD(sources) {
			return (await ailment(sources)) === undefined ? { status: 204 } : { status: 503, type: TEXT_TYPE };
		},
	};
}
