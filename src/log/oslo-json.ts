import { hostname } from "node:os";
import { traceIds } from "../traceparent.ts";
import { LEVELS, type LogContext, type LogFormat } from "./record.ts";
import type { Time } from "./time.ts";

/**
 * The fields of oslo.log's JSONFormatter (oslo_log/formatters.py), with ours in `extra`. What a Python program would say
 * of its source and threads is what Python itself says when it does not know.
 */
export function jsonLines(time: Time): LogFormat {
	return ({ name, level, message, context, extra, created, traceback = null, errorSummary = "" }) => {
		const [levelname, levelno] = LEVELS[level];
		const { instance, traceparent, ...ids } = context;
		return asciiJson({
			message,
			asctime: time(created),
			name,
			msg: message,
			args: [],
			levelname,
			levelno,
			pathname: "(unknown file)",
			filename: "(unknown file)",
			module: "(unknown file)",
			lineno: 0,
			funcname: "(unknown function)",
			created: created / 1000,
			msecs: created % 1000,
			relative_created: created - Math.trunc(performance.timeOrigin),
			thread: 0,
			thread_name: "MainThread",
			process_name: "MainProcess",
			process: process.pid,
			traceback,
			hostname: hostname(),
			error_summary: errorSummary,
			context: ids.request_id ? contextFields(ids) : {},
			extra: { ...(instance && { instance }), ...(traceparent && traceIds(traceparent)), ...extra },
		});
	};
}

/** As Python writes it, in ASCII: no text of a host can end a line or turn it round. */
function asciiJson(value: unknown): string {
	return JSON.stringify(value).replace(
		/[^\0-\x7e]/g,
		(unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
	);
}

/** Those of RequestContext.get_logging_values (oslo_context/context.py) that we keep. */
function contextFields(context: LogContext) {
	const { request_id, global_request_id = null, user_id: user = null, project_id = null } = context;
	const user_identity = `${user ?? "-"} ${project_id ?? "-"} - - -`;
	return { request_id, global_request_id, user, project: project_id, project_id, user_identity };
}
