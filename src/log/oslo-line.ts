import { printable } from "./printable.ts";
import { LEVELS, type LogContext, type LogFormat, type LogRecord } from "./record.ts";
import { localTime, type Time } from "./time.ts";

export const osloLine = plainLines(localTime);

/**
 * oslo.log's default line, so that `grep req-...` joins our lines with Nova's (`logging_context_format_string` and
 * `logging_user_identity_format` of oslo_log/_options.py). A line of DEBUG has no suffix: where in the code it is from.
 */
export function plainLines(time: Time): LogFormat {
	return (record) => {
		const { name, level, message, context, created } = record;
		const { request_id, global_request_id, instance } = context;
		const about = request_id ? `${global_request_id ?? "None"} ${request_id} ${userIdentity(context)}` : "-";
		const prefix = instance ? `[instance: ${instance}] ` : "";
		const line = printable(
			`${stamp(created, time)} ${process.pid} ${LEVELS[level][0]} ${name} [${about}] ${prefix}${message}${summaryOf(record)}`,
		);
		return line + tracebackLines(record, time);
	};
}

/** `%(asctime)s.%(msecs)03d` */
function stamp(created: number, time: Time): string {
	return `${time(created)}.${String(created % 1000).padStart(3, "0")}`;
}

/** What oslo.log puts behind a line whose format has no `%(error_summary)s`. */
export function summaryOf({ errorSummary }: LogRecord): string {
	return errorSummary ? `: ${errorSummary}` : "";
}

/** As oslo.log's `logging_exception_prefix` has them: `%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s`. */
export function tracebackLines(
	{ name, context: { instance }, created, traceback = [] }: LogRecord,
	time: Time,
): string {
	if (traceback.length === 0) return "";
	const prefix = `${stamp(created, time)} ${process.pid} ERROR ${name} ${instance ? `[instance: ${instance}] ` : ""}`;
	return traceback.map((line) => `\n${printable(prefix + line)}`).join("");
}

/** User, project, and four that we do not keep: domain, system scope, domains of user and project. */
export function userIdentity({ user_id, project_id }: LogContext): string {
	return `${user_id ?? "-"} ${project_id ?? "-"} - - - -`;
}
