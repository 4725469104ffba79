import { noSuchMethod, type RpcFailure, typeError, unsupportedVersion } from "./errors.ts";
import type { Request } from "./message.ts";
import type { ServerTarget } from "./target.ts";

/** What a method knows about the call besides its arguments. */
export interface Call<Context> {
	readonly context: Context;
	/** The target on which the request arrived. */
	readonly target: ServerTarget;
	/** Aborted when the time of the call is up. */
	readonly signal: AbortSignal;
}

/** A method that callers may reach. Its arguments are keyword arguments, as in Python. */
export interface Method<Context> {
	readonly required: readonly string[];
	/** "any" is Python's `**kwargs`. */
	readonly optional: readonly string[] | "any";
	readonly handler: (args: Readonly<Record<string, unknown>>, call: Call<Context>) => Promise<unknown>;
	/**
	 * The result, or the failure it throws, of a call whose time is over while the handler goes on or could not be started.
	 * Left out, the caller gets a failure of the server's.
	 */
	readonly onTimeUp?: (args: Readonly<Record<string, unknown>>, call: Call<Context>) => unknown;
	/** Bytes of a reply at most; left out, those of the server. */
	readonly maxReply?: number;
}

/** Methods that share a namespace and a version. Only what the map names can be called. */
export interface Endpoint<Context> {
	readonly namespace: string | null;
	readonly version: string;
	readonly methods: ReadonlyMap<string, Method<Context>>;
}

/** What health probes ask for: PingEndpoint of oslo_messaging/rpc/dispatcher.py (`rpc_ping_enabled`). */
export const PING_ENDPOINT: Endpoint<unknown> = {
	namespace: null,
	version: "1.0",
	methods: new Map([["oslo_rpc_server_ping", { required: [], optional: "any", handler: async () => "pong" }]]),
};

/**
 * Chooses the method for a request, or throws what a Python caller expects. Mirrors RPCDispatcher.dispatch of
 * oslo_messaging/rpc/dispatcher.py: NoSuchMethod as soon as any endpoint has the namespace and the version. Private names,
 * those that begin with "_", are no methods (its DefaultRPCAccessPolicy).
 */
export function dispatch<Context>(endpoints: readonly Endpoint<Context>[], request: Request): Method<Context> {
	const { method, namespace, version } = request;
	let isFitting = false;
	for (const endpoint of endpoints) {
		if (endpoint.namespace !== namespace || !isCompatible(endpoint.version, version)) continue;
		isFitting = true;
		const found = endpoint.methods.get(method);
		if (found && !method.startsWith("_")) {
			const mistake = argumentMistake(found, request);
			if (mistake) throw mistake;
			return found;
		}
	}
	throw isFitting ? noSuchMethod(method) : unsupportedVersion(version, method);
}

const VERSION = /^(\d+)\.(\d+)(?:\.(\d+))?$/;

/** Mirrors version_is_compatible of oslo_messaging/_utils.py; what is not a version is compatible with nothing. */
export function isCompatible(implemented: string, requested: string): boolean {
	const [have, want] = [VERSION.exec(implemented), VERSION.exec(requested)];
	if (have === null || want === null || Number(have[1]) !== Number(want[1])) return false;
	const [minor, wantedMinor] = [Number(have[2]), Number(want[2])];
	return wantedMinor < minor || (wantedMinor === minor && Number(want[3] ?? 0) <= Number(have[3] ?? 0));
}

/** Python's own words for arguments that do not fit a function. */
function argumentMistake<Context>(
	{ required, optional }: Method<Context>,
	{ method, args }: Request,
): RpcFailure | undefined {
	const isExpected = (name: string) => optional === "any" || required.includes(name) || optional.includes(name);
	const unexpected = Object.keys(args).find((name) => !isExpected(name));
	if (unexpected !== undefined) return typeError(`${method}() got an unexpected keyword argument '${unexpected}'`);
	const missing = required.filter((name) => !Object.hasOwn(args, name)).map((name) => `'${name}'`);
	if (missing.length === 0) return undefined;
	const plural = missing.length === 1 ? "argument" : "arguments";
	const names = new Intl.ListFormat("en").format(missing);
	return typeError(`${method}() missing ${missing.length} required positional ${plural}: ${names}`);
}
