import { InvalidMessage, RemoteError, RpcFailure } from "./errors.ts";
import { parseJson, toJson } from "./json.ts";

/**
 * The `failure` of a reply: JSON text, the third level of encoding. Mirrors serialize_remote_exception of
 * oslo_messaging/_drivers/common.py. `tb` must be a list of strings; what happened inside stays in our log.
 */
export function encodeFailure(error: unknown): string {
	const failure =
		error instanceof RpcFailure ? error : new RpcFailure("InternalError", "novacompat", "internal error, see the log");
	const { excClass, module, message, args, kwargs } = failure;
	return toJson({ class: excClass, module, message, tb: [], args, kwargs });
}

/** For the class or the module of an exception that does not say. */
const UNKNOWN = "unknown";

/**
 * Reads a failure as the caller must; what does not have its shape is kept as text. Python builds the exception anew
 * where it may import the class (deserialize_remote_exception); here it is always a RemoteError with all its parts.
 */
export function decodeFailure(text: string): RemoteError {
	const failure = parse(text);
	if (failure.size === 0) return new RemoteError(UNKNOWN, UNKNOWN, text);
	const nameOf = (key: string) => textOf(failure.get(key) ?? UNKNOWN);
	const [message, args, kwargs, tb] = ["message", "args", "kwargs", "tb"].map((key) => failure.get(key));
	const module = nameOf("module");
	return new RemoteError(nameOf("class"), module === "exceptions" ? "builtins" : module, textOf(message ?? ""), {
		args: Array.isArray(args) ? args : [],
		kwargs: typeof kwargs === "object" && kwargs !== null ? { ...kwargs } : {},
		traceback: Array.isArray(tb) ? tb.map(textOf) : [],
	});
}

function parse(text: string): ReadonlyMap<string, unknown> {
	try {
		const parsed = parseJson(text);
		return new Map(typeof parsed === "object" && parsed !== null ? Object.entries(parsed) : []);
	} catch (error) {
		if (error instanceof InvalidMessage) return new Map();
		throw error;
	}
}

/** Not every object of JSON has a text: `toString` may be one of its keys. */
function textOf(value: unknown): string {
	return typeof value === "string" ? value : toJson(value);
}
