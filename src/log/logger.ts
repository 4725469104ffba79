import { osloLine } from "./oslo-line.ts";
import type { LogContext, LogExtra, LogFormat, LogRecord } from "./record.ts";

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

/** Loggers know no other fields than those of LogContext and LogExtra: what is not given cannot leak into a line. */
export function createLogger(
	name: string,
	debug: boolean,
	write: (line: string) => void,
	format: LogFormat = osloLine,
): LevelledLogger {
	const at =
		(level: LogRecord["level"]) =>
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
