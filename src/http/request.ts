import type { IncomingMessage } from "node:http";
import type { LogContext } from "../log/record.ts";
import { readTraceparent } from "../traceparent.ts";

/** oslo.context's form; anything else in the header could forge log lines. */
const REQUEST_ID = /^req-[0-9a-f-]{36}$/;

/** RFC 9112, 3.2: HTTP/1.0 needs none. */
export function isWithoutHost({ headers, httpVersion }: IncomingMessage): boolean {
	return headers.host === undefined && httpVersion !== "1.0";
}

/** Where there is an absolute address, `Host` means nothing: RFC 9112, 3.2.2. */
export function targetOf({ url = "", headers }: IncomingMessage): { readonly path: string; readonly host: string } {
	const [, authority, rest = ""] = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
	if (authority === undefined) return { path: url, host: headers.host ?? "" };
	return { path: rest.startsWith("/") ? rest : `/${rest}`, host: authority };
}

/** A line has the global id beside the request's own only: where there is no other, it stands for both. */
export function contextOf(headers: IncomingMessage["headers"]): LogContext {
	const [own, global_request_id] = [headers["x-openstack-request-id"], headers["x-openstack-global-request-id"]].map(
		(id) => (typeof id === "string" && REQUEST_ID.test(id) ? id : undefined),
	);
	const request_id = own ?? global_request_id;
	return { request_id, global_request_id, traceparent: readTraceparent(headers["traceparent"]) };
}

/** For the log: method, path, status and how long it took. */
export function requestLine(request: IncomingMessage, status: number, milliseconds: number): string {
	return `${request.method} ${shownTarget(targetOf(request).path)} ${status} in ${milliseconds.toFixed(1)} ms`;
}

/** The beginning of the path. A query may have a token, and is in no request that we answer. */
function shownTarget(target: string): string {
	const [path = ""] = /^\/[^?#]{0,99}/.exec(target) ?? [];
	return JSON.stringify(path === target ? path : `${path}...`);
}
