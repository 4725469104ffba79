/** Who and what a log line is about; the names of oslo.log's record. */
export interface LogContext {
	readonly request_id?: string | null | undefined;
	readonly global_request_id?: string | null | undefined;
	readonly user_id?: string | null;
	readonly project_id?: string | null;
	/** Uuid of the instance. */
	readonly instance?: string | null | undefined;
	/** Valid: its trace and its span are in a line of JSON, and where a format has them. */
	readonly traceparent?: string | undefined;
}

/** Fields for programs: they are in a line of JSON only, unless they are undefined. */
export type LogExtra = Readonly<Record<string, unknown>>;

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
export const LEVELS = {
	debug: ["DEBUG", 10],
	info: ["INFO", 20],
	warning: ["WARNING", 30],
	error: ["ERROR", 40],
	critical: ["CRITICAL", 50],
} as const;
