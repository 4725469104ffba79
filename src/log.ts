import { hostname } from "node:os";
import { dateFormat } from "./strftime.ts";
import { traceIds } from "./traceparent.ts";

/** Who and what a log line is about; the names of oslo.log's record. */
export interface LogContext {
	readonly request_id?: string | null | undefined;
	readonly global_request_id?: string | null | undefined;
	readonly user_id?: string | null;
	readonly project_id?: string | null;
	/** Uuid of the instance. */
	readonly instance?: string | null;
	/** Valid: its trace and its span are in a line of JSON, and where a format has them. */
	readonly traceparent?: string | undefined;
}

/** Fields for programs: they are in a line of JSON only. */
type LogExtra = Readonly<Record<string, unknown>>;

export interface Logger {
	debug(message: string, context?: LogContext, extra?: LogExtra): void;
	info(message: string, context?: LogContext, extra?: LogExtra): void;
	warning(message: string, context?: LogContext, extra?: LogExtra): void;
	error(message: string, context?: LogContext, extra?: LogExtra): void;
	critical(message: string, context?: LogContext, extra?: LogExtra): void;
	/** At ERROR, what happened and the error that it is due to, with its stack; Python's `LOG.exception`. */
	exception(message: string, error: unknown, context?: LogContext): void;
}

/** Lines below the level are not written; it may change at any time. */
export interface LevelledLogger extends Logger {
	level: "debug" | "info";
}

export interface LogRecord {
	readonly name: string;
	readonly level: keyof typeof LEVELS;
	readonly message: string;
	readonly context: LogContext;
	readonly extra: LogExtra;
	/** Milliseconds since 1970. */
	readonly created: number;
	/** Where in the code it happened, a line each; none but for an exception. */
	readonly traceback?: readonly string[];
	/** The error that it is due to: `Error: a bug`; none but for an exception. */
	readonly errorSummary?: string;
}

/** A record as a line, without its end; of an exception there are more, each with what a line begins with. */
export type LogFormat = (record: LogRecord) => string;

/** Names and numbers of Python's logging module. */
const LEVELS = {
	debug: ["DEBUG", 10],
	info: ["INFO", 20],
	warning: ["WARNING", 30],
	error: ["ERROR", 40],
	critical: ["CRITICAL", 50],
} as const;

/** Loggers know no other fields than those of LogContext and LogExtra: what is not given cannot leak into a line. */
export function createLogger(
	name: string,
	debug: boolean,
	write: (line: string) => void,
	format: LogFormat = osloLine,
): LevelledLogger {
	const at =
		(level: keyof typeof LEVELS) =>
		(message: string, context: LogContext = {}, extra: LogExtra = {}) => {
			if (level === "debug" && logger.level !== "debug") return;
			write(`${format({ name, level, message, context, extra, created: Date.now() })}\n`);
		};
	const logger: LevelledLogger = {
		level: debug ? "debug" : "info",
		debug: at("debug"),
		info: at("info"),
		warning: at("warning"),
		error: at("error"),
		critical: at("critical"),
		exception(message, error, context = {}) {
			const record = { name, level: "error", message, context, extra: {}, created: Date.now() } as const;
			write(`${format({ ...record, traceback: tracebackOf(error), errorSummary: String(error) })}\n`);
		},
	};
	return logger;
}

function tracebackOf(error: unknown): readonly string[] {
	const stack = error instanceof Error ? (error.stack ?? "") : "";
	return stack.split("\n").filter((line) => /^ {4}at /.test(line));
}

/** oslo.log's. */
export const DEFAULT_DATE_FORMAT = "%Y-%m-%d %H:%M:%S";

/** Milliseconds since 1970 as a line has them. */
type Time = (created: number) => string;

export const osloLine = plainLines(localTime);
export const osloJson = jsonLines(localTime);

/**
 * oslo.log's default line, so that `grep req-...` joins our lines with Nova's (`logging_context_format_string` and
 * `logging_user_identity_format` of oslo_log/_options.py). A line of DEBUG has no suffix: where in the code it is from.
 */
function plainLines(time: Time): LogFormat {
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
function summaryOf({ errorSummary }: LogRecord): string {
	return errorSummary ? `: ${errorSummary}` : "";
}

/** As oslo.log's `logging_exception_prefix` has them: `%(asctime)s.%(msecs)03d %(process)d ERROR %(name)s %(instance)s`. */
function tracebackLines({ name, context: { instance }, created, traceback = [] }: LogRecord, time: Time): string {
	if (traceback.length === 0) return "";
	const prefix = `${stamp(created, time)} ${process.pid} ERROR ${name} ${instance ? `[instance: ${instance}] ` : ""}`;
	return traceback.map((line) => `\n${printable(prefix + line)}`).join("");
}

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
	const time = log_date_format === DEFAULT_DATE_FORMAT ? localTime : dateFormat(log_date_format);
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

/**
 * The fields of oslo.log's JSONFormatter (oslo_log/formatters.py), with ours in `extra`. What a Python program would say
 * of its source and threads is what Python itself says when it does not know.
 */
function jsonLines(time: Time): LogFormat {
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

/** User, project, and four that we do not keep: domain, system scope, domains of user and project. */
function userIdentity({ user_id, project_id }: LogContext): string {
	return `${user_id ?? "-"} ${project_id ?? "-"} - - - -`;
}

/** `%Y-%m-%d %H:%M:%S` where the machine is, of milliseconds since 1970. */
export function localTime(created: number): string {
	const offset = new Date(created).getTimezoneOffset() * 60_000;
	return new Date(created - offset).toISOString().slice(0, 19).replace("T", " ");
}

/** Names come from hosts and messages: a line break or a terminal sequence in one must not make a line of its own. */
export function printable(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
		const code = character.codePointAt(0) ?? 0;
		return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}
