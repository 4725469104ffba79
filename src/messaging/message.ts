import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { InvalidMessage } from "./errors.ts";

/** Larger bodies are refused before they are decoded; a Nova pre-check has 5 to 20 kB. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

const ENVELOPE_VERSION = "2.0";
/** Python's have 32 digits; a longer one would fill the memory that remembers them. */
const MAX_UNIQUE_ID_LENGTH = 128;
const CONTEXT_PREFIX = "_context_";

/** A request as a server sees it; the field names on the wire are in oslo_messaging/_drivers/amqpdriver.py. */
export interface Request {
	readonly method: string;
	readonly args: Readonly<Record<string, unknown>>;
	/** Null unless the caller's target has one; "" is not null. */
	readonly namespace: string | null;
	readonly version: string;
	/** Present on calls; a cast has neither. */
	readonly replyTo: { readonly queue: string; readonly msgId: string } | undefined;
	/** Seconds of the call monitor (`call_monitor_timeout`), as the caller wrote them. */
	readonly monitorTimeout: unknown;
	readonly uniqueId: string | undefined;
	/** Raw request context, with its secrets: reduce it before anything else sees it. */
	readonly context: ReadonlyMap<string, unknown>;
}

/** A reply as a client sees it. A heartbeat has neither result nor failure, and is not the end. */
export interface Reply {
	readonly msgId: string;
	readonly result: unknown;
	readonly failure: string | null;
	readonly ending: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

export function newId(): string {
	return randomUUID().replaceAll("-", "");
}

/** Puts a message into the envelope: JSON in a string in JSON (oslo_messaging/_drivers/common.py). */
export function sealEnvelope(fields: Fields): Buffer {
	return Buffer.from(JSON.stringify({ "oslo.version": "2.0", "oslo.message": JSON.stringify(fields) }));
}

/** Takes a message out of its envelope. An object without envelope is a message itself, as Python has it. */
export function openEnvelope(body: Buffer, contentType: string | undefined): Fields {
	if (contentType !== "application/json") {
		throw new InvalidMessage(`content_type is ${JSON.stringify(contentType)}, expected "application/json"`);
	}
	if (body.length > MAX_BODY_BYTES) {
		throw new InvalidMessage(`the body has ${body.length} bytes, expected at most ${MAX_BODY_BYTES}`);
	}
	if (!isUtf8(body)) throw new InvalidMessage("the body is not UTF-8");
	const outer = parseObject(body.toString("utf8"), "the body");
	if (!Object.hasOwn(outer, "oslo.version") || !Object.hasOwn(outer, "oslo.message")) return outer;
	const version = outer["oslo.version"];
	if (version !== ENVELOPE_VERSION) {
		throw new InvalidMessage(`oslo.version is ${JSON.stringify(version).slice(0, 40)}, expected "${ENVELOPE_VERSION}"`);
	}
	const inner = outer["oslo.message"];
	if (typeof inner !== "string")
		throw new InvalidMessage(`oslo.message is a ${typeof inner}, expected a string of JSON`);
	return parseObject(inner, "oslo.message");
}

function parseObject(text: string, what: string): Fields {
	let value: unknown;
	try {
		value = JSON.parse(text);
	} catch {
		value = parsePythonJson(text, what);
	}
	if (!isFields(value)) throw new InvalidMessage(`${what} is not a JSON object`);
	return value;
}

/** Python writes NaN and the infinities as they are; no argument of ours is a float, so null will do for them. */
function parsePythonJson(text: string, what: string): unknown {
	// Short tokens only: a pattern for a whole string takes hours for some that do not end.
	let inString = false;
	const strict = text.replace(/\\.|"|\bNaN\b|-?\bInfinity\b/gs, (token) => {
		if (token === '"') inString = !inString;
		return inString || token === '"' || token.startsWith("\\") ? token : "null";
	});
	try {
		return JSON.parse(strict);
	} catch (cause) {
		// The parser's own text quotes the body, which may hold a token.
		throw new InvalidMessage(`${what} is not JSON`, { cause });
	}
}

function isFields(value: unknown): value is Fields {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a request; what a probe leaves out has oslo's defaults. */
export function readRequest(fields: Fields): Request {
	const get = (key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined);
	const method = get("method");
	const args = get("args") ?? {};
	const namespace = get("namespace") ?? null;
	const version = get("version");
	const [queue, msgId, uniqueId] = [get("_reply_q"), get("_msg_id"), get("_unique_id")];
	const context = Object.entries(fields)
		.filter(([key]) => key.startsWith(CONTEXT_PREFIX))
		.map(([key, value]) => [key.slice(CONTEXT_PREFIX.length), value] as const);
	return {
		// What is no name is the name of no method: the caller gets NoSuchMethod, and the value stays out of the reply.
		method: typeof method === "string" ? method : "",
		args: isFields(args) ? args : {},
		namespace: namespace === null ? null : String(namespace),
		// Like Python's dict.get: a version that is there and null is not the default, and compatible with nothing.
		version: version === undefined ? "1.0" : String(version),
		replyTo: typeof queue === "string" && typeof msgId === "string" ? { queue, msgId } : undefined,
		monitorTimeout: get("_timeout"),
		uniqueId: typeof uniqueId === "string" && uniqueId.length <= MAX_UNIQUE_ID_LENGTH ? uniqueId : undefined,
		context: new Map(context),
	};
}

/** The fields of a request, in the order in which Python sends them. */
export function requestFields(
	method: string,
	args: Fields,
	target: { readonly namespace?: string; readonly version?: string },
	context: Fields = {},
): Fields {
	const prefixed = Object.entries(context).map(([key, value]) => [`${CONTEXT_PREFIX}${key}`, value]);
	const { namespace, version } = target;
	return {
		method,
		args,
		...(namespace !== undefined && { namespace }),
		...(version !== undefined && { version }),
		...Object.fromEntries(prefixed),
	};
}

export function resultReply(msgId: string, result: unknown): Buffer {
	return sealEnvelope({ result: result ?? null, failure: null, ending: true, _msg_id: msgId, _unique_id: newId() });
}

export function failureReply(msgId: string, failure: string): Buffer {
	return sealEnvelope({ result: null, failure, ending: true, _msg_id: msgId, _unique_id: newId() });
}

/** Keeps a call with a call monitor waiting. */
export function heartbeat(msgId: string): Buffer {
	return sealEnvelope({ result: null, failure: null, ending: false, _msg_id: msgId, _unique_id: newId() });
}

export function readReply(fields: Fields): Reply {
	const msgId = fields["_msg_id"];
	const failure = fields["failure"] || null;
	if (typeof msgId !== "string") throw new InvalidMessage("a reply has no _msg_id");
	return {
		msgId,
		result: fields["result"] ?? null,
		// Encoded once too seldom it is still the failure; the caller shall not wait for another one.
		failure: failure === null || typeof failure === "string" ? failure : JSON.stringify(failure),
		ending: Boolean(fields["ending"]),
	};
}
