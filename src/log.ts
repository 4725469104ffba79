/** Who and what a log line is about; the names of oslo.log's record. */
export interface LogContext {
	readonly request_id?: string | null;
	readonly global_request_id?: string | null;
	readonly user_id?: string | null;
	readonly project_id?: string | null;
	/** Uuid of the instance. */
	readonly instance?: string | null;
}

export interface Logger {
	debug(message: string, context?: LogContext): void;
	info(message: string, context?: LogContext): void;
	warning(message: string, context?: LogContext): void;
	error(message: string, context?: LogContext): void;
}

const LEVELS = { debug: "DEBUG", info: "INFO", warning: "WARNING", error: "ERROR" } as const;

/**
 * A logger that writes oslo.log's default line, so that `grep req-...` joins our lines with Nova's
 * (oslo_log/_options.py, logging_context_format_string). It knows no other fields than those of LogContext: what is
 * not in the line cannot leak into it.
 */
export function createLogger(name: string, debug: boolean, write: (line: string) => void): Logger {
	const at =
		(level: keyof typeof LEVELS) =>
		(message: string, context: LogContext = {}) => {
			if (debug || level !== "debug") write(osloLine(name, level, message, context));
		};
	return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
}

function osloLine(name: string, level: keyof typeof LEVELS, message: string, about: LogContext): string {
	const now = new Date();
	const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString();
	const stamp = local.slice(0, 23).replace("T", " ");
	const identity = `${about.user_id ?? "-"} ${about.project_id ?? "-"} - - -`;
	const context = about.request_id ? `${about.global_request_id ?? "None"} ${about.request_id} ${identity}` : "-";
	const instance = about.instance ? `[instance: ${about.instance}] ` : "";
	return `${printable(`${stamp} ${process.pid} ${LEVELS[level]} ${name} [${context}] ${instance}${message}`)}\n`;
}

/** Names come from hosts and messages: a line break or a terminal sequence in one must not make a line of its own. */
export function printable(text: string): string {
	return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => {
		const code = character.codePointAt(0) ?? 0;
		return code > 0xffff ? `\\u{${code.toString(16)}}` : `\\u${code.toString(16).padStart(4, "0")}`;
	});
}
