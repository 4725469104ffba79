import type { RawContext } from "../messaging/message.ts";
import { newSpanIn, readTraceparent } from "../traceparent.ts";

/**
 * All that is kept of Nova's request context. The rest, a usable token among it, is dropped before any other code sees
 * it: an allow-list, because nobody knows what the next release adds.
 */
export interface RequestContext {
	readonly request_id?: string;
	readonly global_request_id?: string;
	readonly user_id?: string;
	readonly project_id?: string;
	/** The trace that the request is a part of, with a span of our own for all that is done for it. */
	readonly traceparent?: string;
}

const REQUEST_ID = /^req-[0-9a-f-]{36}$/;
const ID = /^[0-9A-Za-z_-]{1,64}$/;
const KEPT = [
	["request_id", REQUEST_ID],
	["global_request_id", REQUEST_ID],
	["user_id", ID],
	["project_id", ID],
] as const;

/**
 * A value that does not look like an id may be anything, so it is dropped too. `traceparent`: the message's header, which an
 * instrumentation of the client's library writes last; without one, that of the context (trace_send of oslo_messaging/_tracing/client.py,
 * from 18.3 on). osprofiler's `trace_info` is no source of it: that has a key in it.
 */
export function deserializeContext(raw: Pick<RawContext, "get">, traceparent?: string): RequestContext {
	const kept: { -readonly [key in keyof RequestContext]: string } = {};
	for (const [key, pattern] of KEPT) {
		const value = raw.get(key);
		if (typeof value === "string" && pattern.test(value)) kept[key] = value;
	}
	const caller = readTraceparent(traceparent) ?? readTraceparent(raw.get("traceparent"));
	if (caller !== undefined) kept.traceparent = newSpanIn(caller);
	return kept;
}
