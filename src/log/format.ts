import { traceIds } from "../traceparent.ts";
import { jsonLines } from "./oslo-json.ts";
import { plainLines, summaryOf, tracebackLines, userIdentity } from "./oslo-line.ts";
import { printable } from "./printable.ts";
import { LEVELS, type LogFormat, type LogRecord } from "./record.ts";
import { dateFormat } from "./strftime.ts";
import { DEFAULT_DATE_FORMAT, localTime, onceASecond, type Time } from "./time.ts";

/** What `%(name)s` stands for in a format, by oslo.log's names; numbers may be formatted with `d`. */
const FIELDS: Readonly<Record<string, (record: LogRecord, time: Time) => string | number>> = {
	asctime: ({ created }, time) => time(created),
	msecs: ({ created }) => created % 1000,
	process: () => process.pid,
	levelname: ({ level }) => LEVELS[level][0],
	levelno: ({ level }) => LEVELS[level][1],
	name: ({ name }) => name,
	message: ({ message }) => message,
	error_summary: ({ errorSummary }) => errorSummary ?? "",
	instance: ({ context: { instance } }) => (instance ? `[instance: ${instance}] ` : ""),
	request_id: ({ context }) => context.request_id ?? "None",
	global_request_id: ({ context }) => context.global_request_id ?? "None",
	user: ({ context }) => context.user_id ?? "None",
	project: ({ context }) => context.project_id ?? "None",
	user_identity: ({ context }) => userIdentity(context),
	// Not of oslo.log's.
	trace_id: ({ context: { traceparent } }) => (traceparent ? traceIds(traceparent).trace_id : "None"),
	span_id: ({ context: { traceparent } }) => (traceparent ? traceIds(traceparent).span_id : "None"),
};
const CONVERSION = /%(?:%|\(([a-z_]+)\)([-0]?)(\d{0,3})([sd])|)/g;
const NUMBERS: ReadonlySet<string> = new Set(["msecs", "process", "levelno"]);

/** What is wrong with a format string of Python's; undefined for one that can be used. */
export function problemOfFormat(text: string): string | undefined {
	for (const [written, name, , , conversion] of text.matchAll(CONVERSION)) {
		if (written === "%") return `a % that begins neither %(field)s nor %(field)d; %% is one`;
		if (name === undefined) continue;
		if (!Object.hasOwn(FIELDS, name)) return `%(${name}): expected one of ${Object.keys(FIELDS).join(", ")}`;
		if (conversion === "d" && !NUMBERS.has(name)) return `%(${name})d: expected %(${name})s, it is a text`;
	}
	return undefined;
}

/** What an operator says of lines, by the names of oslo.log's options (oslo_log/_options.py). */
export interface LogOptions {
	/** Lines of JSON; format strings do not count then. */
	readonly use_json: boolean;
	readonly logging_context_format_string?: string | undefined;
	readonly logging_default_format_string?: string | undefined;
	readonly log_date_format: string;
}

export function logFormat(options: LogOptions): LogFormat {
	const { use_json, logging_context_format_string, logging_default_format_string, log_date_format } = options;
	const time = onceASecond(log_date_format === DEFAULT_DATE_FORMAT ? localTime : dateFormat(log_date_format));
	return use_json ? jsonLines(time) : lineFormat(logging_context_format_string, logging_default_format_string, time);
}

/** Lines by format strings of the operator's: for records of a request, and for all others; left out, as by oslo.log's. */
function lineFormat(ofRequest: string | undefined, ofOthers: string | undefined, time: Time): LogFormat {
	const plain = plainLines(time);
	const inContext = ofRequest === undefined ? plain : compiled(ofRequest, time);
	const others = ofOthers === undefined ? plain : compiled(ofOthers, time);
	return (record) => (record.context.request_id ? inContext : others)(record);
}

function compiled(text: string, time: Time): LogFormat {
	const hasSummary = text.includes("%(error_summary)s");
	return (asked) => {
		const record = hasSummary ? { ...asked, errorSummary: asked.errorSummary || "-" } : asked;
		const line = text.replace(CONVERSION, (written, name?: string, flag = "", width = "") => {
			const value = name === undefined ? written.slice(1) : String(FIELDS[name]?.(record, time) ?? "");
			if (flag === "-") return value.padEnd(Number(width));
			return value.padStart(Number(width), flag === "0" && name !== undefined && NUMBERS.has(name) ? "0" : " ");
		});
		return printable(hasSummary ? line : line + summaryOf(record)) + tracebackLines(record, time);
	};
}
