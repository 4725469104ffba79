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
			const failure = new Map<string, unknown>(Object.entries(parsed));
			const [excType, module, message] = ["class", "module", "message"].map((key) => failure.get(key));
			const kwargs = failure.get("kwargs");
			if (typeof excType === "string" && typeof module === "string") {
				const named = typeof kwargs === "object" && kwargs !== null ? { ...kwargs } : {};
				return new RemoteError(excType, module, String(message ?? ""), named);
			}
		}
	} catch (error) {
		if (!(error instanceof SyntaxError)) throw error;
	}
	return new RemoteError("unknown", "unknown", text);
}
