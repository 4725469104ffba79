import { randomBytes } from "node:crypto";

/** https://www.w3.org/TR/trace-context/, version 00: the id of the trace, that of the sender's span, flags. No id is all zeros. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The value of a header `traceparent`; undefined for what is none, which may be anything. */
export function readTraceparent(header: unknown): string | undefined {
	return typeof header === "string" && TRACEPARENT.test(header) ? header : undefined;
}

/** A new span in the same trace, with the same flags. */
export function newSpanIn(traceparent: string): string {
	return traceparent.slice(0, 36) + randomBytes(8).toString("hex") + traceparent.slice(52);
}

/** By the names that they have in logs (https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/). */
export function traceIds(traceparent: string) {
	return { trace_id: traceparent.slice(3, 35), span_id: traceparent.slice(36, 52) };
}
