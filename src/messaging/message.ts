import { isUtf8 } from "node:buffer";
import { randomUUID } from "node:crypto";
import { decompress } from "./compression.ts";
import { InvalidMessage, RpcFailure, valueError } from "./errors.ts";
import { encodeFailure } from "./failure.ts";
import { parseJson, toJson } from "./json.ts";
import type { Delivery } from "./transport.ts";

/**
 * Larger bodies are refused before they are decoded, compressed or not, and no result is sent in one; a Nova pre-check has
 * 5 to 20 kB.
 */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

const ENVELOPE_VERSION = "2.0";
/** What stands before the message (serialize_msg of oslo_messaging/_drivers/common.py). */
const ENVELOPE = /^\{"oslo\.version": ?"2\.0", ?"oslo\.message": ?(?=")/;
/** Python's have 32 digits; a longer one would fill the memory that remembers them. */
const MAX_UNIQUE_ID_LENGTH = 128;
/** Every reply has the one of its call, and shall not be as long as a stranger likes. */
const MAX_MSG_ID_LENGTH = 1_024;
const CONTEXT_PREFIX = "_context_";

/** The context of a request as it came, by name. */
export interface RawContext extends Iterable<readonly [name: string, value: unknown]> {
	get(name: string): unknown;
}

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
	readonly context: RawContext;
}

/** A reply as a client sees it. A heartbeat has neither result nor failure, and is not the end. */
export interface Reply {
	readonly msgId: string;
	readonly result: unknown;
	readonly failure: string | null;
	readonly ending: boolean;
}

type Fields = Readonly<Record<string, unknown>>;
type Body = Pick<Delivery, "body" | "tooLarge" | "contentType" | "compression">;

export function newId(): string {
	const uuid = randomUUID();
	return uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);
}

/** Puts a message into the envelope: JSON in a string in JSON (oslo_messaging/_drivers/common.py). */
export function sealEnvelope(fields: Fields): Buffer {
	return Buffer.from(toJson({ "oslo.version": ENVELOPE_VERSION, "oslo.message": toJson(fields) }));
}

/**
 * Takes a message out of its envelope. As Python has it, an object without envelope is a message itself, and a body
 * without any bytes is a message without any fields.
 */
export function openEnvelope({ body, tooLarge: size = body.length, contentType, compression }: Body): Fields {
	if (size > MAX_BODY_BYTES) {
		throw new InvalidMessage(`the body has ${size} bytes, expected at most ${MAX_BODY_BYTES}`);
	}
	if (body.length === 0) return {};
	if (contentType !== "application/json") {
		throw new InvalidMessage(`content_type is ${JSON.stringify(contentType)}, expected "application/json"`);
	}
	const bytes = compression ? decompress(body, compression, MAX_BODY_BYTES) : body;
	if (!isUtf8(bytes)) throw new InvalidMessage("the body is not UTF-8");
	const text = bytes.toString("utf8");
	const message = messageOf(text);
	return message === undefined ? openUnusual(text) : parseFields(message, "oslo.message");
}

/**
 * The message in an envelope as Python writes it, read as the one string it is: whatever is in it, that takes a few
 * milliseconds at most. Undefined for anything else.
 */
function messageOf(text: string): string | undefined {
	const start = ENVELOPE.exec(text)?.[0].length;
	if (start === undefined || !text.endsWith('"}')) return undefined;
	try {
		return JSON.parse(text.slice(start, -1));
	} catch {
		return undefined;
	}
}

/** What Python reads too, although it writes none: no envelope, other keys in it or in another order, or what it refuses. */
function openUnusual(text: string): Fields {
	const outer = parseFields(text, "the body");
	if (!Object.hasOwn(outer, "oslo.version") || !Object.hasOwn(outer, "oslo.message")) return outer;
	const version = outer["oslo.version"];
	if (version !== ENVELOPE_VERSION) {
		throw new InvalidMessage(`oslo.version is ${toJson(version).slice(0, 40)}, expected "${ENVELOPE_VERSION}"`);
	}
	const inner = outer["oslo.message"];
	if (typeof inner !== "string")
		throw new InvalidMessage(`oslo.message is a ${typeof inner}, expected a string of JSON`);
	return parseFields(inner, "oslo.message");
}

function parseFields(text: string, what: string): Fields {
	const value = parseJson(text, what);
	if (!isFields(value)) throw new InvalidMessage(`${what} is not a JSON object`);
	return value;
}

function isFields(value: unknown): value is Fields {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a request; what a probe leaves out has oslo's defaults. */
export function readRequest(fields: Fields): Request {
	const get = (key: string): unknown => (Object.hasOwn(fields, key) ? fields[key] : undefined);
	const args = Object.hasOwn(fields, "args") ? fields["args"] : {};
	const [method, namespace, version] = [get("method"), get("namespace") ?? null, get("version")];
	const [queue, msgId, uniqueId] = [get("_reply_q"), get("_msg_id"), get("_unique_id")];
	return {
		// What is no name is the name of no method, and without keyword arguments there is no call either: the caller gets
		// NoSuchMethod, and the value stays out of the reply.
		method: typeof method === "string" && isFields(args) ? method : "",
		args: isFields(args) ? args : {},
		namespace: namespace === null ? null : asText(namespace),
		// Like Python's dict.get: a version that is there and null is not the default, and compatible with nothing.
		version: version === undefined ? "1.0" : versionText(version),
		replyTo: typeof queue === "string" && isMsgId(msgId) ? { queue, msgId } : undefined,
		monitorTimeout: get("_timeout"),
		uniqueId: typeof uniqueId === "string" && uniqueId.length <= MAX_UNIQUE_ID_LENGTH ? uniqueId : undefined,
		context: new ContextFields(fields),
	};
}

function isMsgId(value: unknown): value is string {
	return typeof value === "string" && value !== "" && value.length <= MAX_MSG_ID_LENGTH;
}

/** Most methods want a few names of some dozens: nothing is copied. */
class ContextFields implements RawContext {
	readonly #fields: Fields;

	constructor(fields: Fields) {
		this.#fields = fields;
	}

	get(name: string): unknown {
		const key = `${CONTEXT_PREFIX}${name}`;
		return Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined;
	}

	*[Symbol.iterator](): Iterator<readonly [string, unknown]> {
		for (const [key, value] of Object.entries(this.#fields)) {
			if (key.startsWith(CONTEXT_PREFIX)) yield [key.slice(CONTEXT_PREFIX.length), value];
		}
	}
}

/** What is no text becomes one that names nothing; String() would make "6.0" of ["6.0"], and throw for some objects. */
function asText(value: unknown): string {
	return typeof value === "string" ? value : toJson(value);
}

/** Only a text is a version: 1.5 as a number is compatible with nothing either. */
function versionText(version: unknown): string {
	if (version === null) return "None";
	return typeof version === "string" ? version : `${toJson(version)} (no text)`;
}

/** The fields of a request, without those by which its reply is found (`_msg_id`, `_reply_q`). */
export function requestFields(
	method: string,
	args: Fields,
	target: { readonly namespace?: string; readonly version?: string },
	context: Fields = {},
): Fields {
	const { namespace, version } = target;
	return {
		method,
		args,
		...(namespace !== undefined && { namespace }),
		...(version !== undefined && { version }),
		...contextFields(context),
	};
}

/** A request context as fields of a message, `_context_<name>` each. */
export function contextFields(context: Fields): Fields {
	return Object.fromEntries(Object.entries(context).map(([name, value]) => [`${CONTEXT_PREFIX}${name}`, value]));
}

/** Throws a ValueError for a result of more than `limit` bytes: what was asked for was too much. */
export function resultReply(msgId: string, result: unknown, limit = MAX_BODY_BYTES): Buffer {
	const body = sealReply(msgId, result ?? null, null, true);
	if (body.length <= limit) return body;
	throw valueError(`the reply would have ${body.length} bytes, expected at most ${limit}: ask for less`);
}

/** Of a failure that is too large to be sent its class is told, and how large it is. */
export function failureReply(msgId: string, error: unknown, limit = MAX_BODY_BYTES): Buffer {
	const body = sealReply(msgId, null, encodeFailure(error), true);
	if (body.length <= limit || !(error instanceof RpcFailure)) return body;
	const text = `the failure would have ${body.length} bytes, expected at most ${limit}`;
	return sealReply(msgId, null, encodeFailure(new RpcFailure(error.excClass, error.module, text)), true);
}

/** Keeps a call with a call monitor waiting. */
export function heartbeat(msgId: string): Buffer {
	return sealReply(msgId, null, null, false);
}

/** Always with all five fields: a Python client looks for `failure` in every reply, and raises KeyError without it. */
function sealReply(msgId: string, result: unknown, failure: string | null, ending: boolean): Buffer {
	return sealEnvelope({ result, failure, ending, _msg_id: msgId, _unique_id: newId() });
}

export function readReply(fields: Fields): Reply {
	const msgId = fields["_msg_id"];
	const failure = fields["failure"] || null;
	if (typeof msgId !== "string") throw new InvalidMessage("a reply has no _msg_id");
	return {
		msgId,
		result: fields["result"] ?? null,
		// Encoded once too seldom it is still the failure; the caller shall not wait for another one.
		failure: failure === null || typeof failure === "string" ? failure : toJson(failure),
		ending: Boolean(fields["ending"]),
	};
}
