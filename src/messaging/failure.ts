import { RemoteError, RpcFailure } from "./errors.ts";

/**
 * The `failure` of a reply: JSON text, the third level of encoding. Mirrors serialize_remote_exception of
 * oslo_messaging/_drivers/common.py. `tb` must be a list of strings; what happened inside stays in our log.
 */
export function encodeFailure(error: unknown): string {
	const failure =
		error instanceof RpcFailure ? error : new RpcFailure("InternalError", "novacompat", "internal error, see the log");
	const { excClass, module, message, args, kwargs } = failure;
	return JSON.stringify({ class: excClass, module, message, tb: [], args, kwargs });
}

/** Reads a failure as the caller must; what does not have its shape is kept as text. */
export function decodeFailure(text: string): RemoteError {
	try {
		const parsed: unknown = JSON.parse(text);
		if (typeof parsed === "object" && parsed !== null) {
			const failure = new Map(Object.entries(parsed));
			const kwargs = failure.get("kwargs");
			return new RemoteError(
				String(failure.get("class")),
				String(failure.get("module")),
				String(failure.get("message")),
				typeof kwargs === "object" && kwargs !== null ? { ...kwargs } : {},
			);
		}
	} catch (error) {
		if (!(error instanceof SyntaxError)) throw error;
	}
	return new RemoteError("unknown", "unknown", text);
}
