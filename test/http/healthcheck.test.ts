import { describe, expect, onTestFinished, test } from "vitest";
import { healthcheck, routed } from "../../src/http/answer.ts";
import { startHttpServer } from "../../src/http/server.ts";
import { recordingLog } from "../support/log.ts";
import { askPython } from "../support/python.ts";

/** oslo.middleware's own healthcheck, whose one check is whether a file is there. */
const OSLO = `
import webob
from oslo_middleware.healthcheck import Healthcheck
path = "/no-such-file" if question["healthy"] else "/"
app = Healthcheck(lambda environ, start: None, {"backends": "disable_by_file", "disable_by_file_path": path, "detailed": question["detailed"]})
def ask(method, headers):
    reply = webob.Request.blank("/healthcheck", method=method, headers=headers).get_response(app)
    return [reply.status_int, reply.content_type, reply.text]
answer([ask(*one) for one in question["requests"]])`;

const REQUESTS: readonly (readonly [method: string, headers: Readonly<Record<string, string>>])[] = [
	["GET", {}],
	["GET", { Accept: "*/*" }],
	["GET", { Accept: "text/plain" }],
	["GET", { Accept: "application/json" }],
	["GET", { Accept: "text/html;q=0.5, application/json" }],
	["GET", { Accept: "image/png" }],
	["GET", { Accept: "text/plain, application/json;q=0.5" }],
	["GET", { Accept: "text/plain;q=0.4, Application/JSON; q=0.5" }],
	["GET", { Accept: "text/plain;q=0.4, application/json; charset=utf-8; q=0.5" }],
	["GET", { Accept: "text/*;q=0.4, application/json;q=none" }],
	["GET", { Accept: "application/*" }],
	["GET", { Accept: "*/*;q=0.1, application/json" }],
	["GET", { Accept: "application/json;q=0, */*" }],
	["HEAD", {}],
	["HEAD", { Accept: "application/json" }],
];

describe("the healthcheck answers as oslo.middleware's does", () => {
	test.each([
		["well", true, undefined, false],
		["ill", false, "DISABLED BY FILE", false],
		["well, in detail", true, undefined, true],
		["ill, in detail", false, "DISABLED BY FILE", true],
	])("%s", async (_name, healthy, ailment, detailed) => {
		const routes = healthcheck(
			() => ailment,
			() => (detailed ? `Path '${healthy ? "/no-such-file" : "/"}' was ${healthy ? "not " : ""}found` : undefined),
		);
		const { url, close } = await startHttpServer({
			listen: { address: "127.0.0.1", port: 0 },
			answer: (method, _url, asked) => routed(routes, method, [], undefined, asked),
			log: recordingLog().log,
		});
		onTestFinished(close);
		const ours = await Promise.all(
			REQUESTS.map(async ([method, headers]) => {
				const reply = await fetch(url, { method, headers });
				return [reply.status, reply.headers.get("Content-Type")?.split(";")[0] ?? null, await reply.text()];
			}),
		);
		expect(ours.map(read)).toEqual(
			(askPython(OSLO, { healthy, detailed, requests: REQUESTS }) as unknown[][]).map(read),
		);
	});
});

/** Only the white space of the JSON may differ, and what is said of Python and its threads. */
function read([status, type, body]: readonly unknown[]): readonly unknown[] {
	if (type !== "application/json") return [status, type, body];
	const { gc, greenthreads, now, platform, python_version, threads, ...fields } = JSON.parse(String(body));
	return [status, type, fields];
}
