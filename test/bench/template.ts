import { randomUUID } from "node:crypto";

/** A message encoded once, with the places where the id of a call stands: the generator should not be what is measured. */
export interface Template {
	readonly bytes: Buffer;
	readonly idAt: readonly number[];
}

/** A reply that was looked at in full: all further ones must be the same bytes but for their ids. */
export interface ReplyTemplate extends Template {
	/** The `_unique_id` of the reply itself, which nobody can know before. */
	readonly uniqueIdAt: number;
}

/** Stands for the id of the call wherever it occurs in the fields of a request. */
export const CALL_ID = "0".repeat(32);
const ID_LENGTH = CALL_ID.length;

export function newId(): string {
	return randomUUID().replaceAll("-", "");
}

export function requestTemplate(fields: Readonly<Record<string, unknown>>): Template {
	const text = JSON.stringify({ ...fields, _msg_id: CALL_ID, _unique_id: CALL_ID, _timeout: null });
	return templateOf(Buffer.from(JSON.stringify({ "oslo.version": "2.0", "oslo.message": text })), CALL_ID);
}

/** Reads a reply completely: its result, and what the next one will look like. */
export function readReply(body: Buffer, id: string): { readonly result: unknown; readonly template: ReplyTemplate } {
	const { "oslo.version": version, "oslo.message": text = "" } = JSON.parse(body.toString());
	const { result, failure, ending, _msg_id, _unique_id } = JSON.parse(text);
	if (
		version !== "2.0" ||
		failure !== null ||
		ending !== true ||
		_msg_id !== id ||
		!/^[0-9a-f]{32}$/.test(_unique_id)
	) {
		throw new Error(`expected a reply with the result of ${id}, got ${body}`);
	}
	return { result, template: { ...templateOf(body, id), uniqueIdAt: body.indexOf(_unique_id) } };
}

/** The same message for another call: good until the template is used again. */
export function fill({ bytes, idAt }: Template, id: string): Buffer {
	for (const at of idAt) bytes.write(id, at, "latin1");
	return bytes;
}

/** The id of the call that this is the right reply to. */
export function idOfRightReply(template: ReplyTemplate, body: Buffer): string | undefined {
	const { idAt, uniqueIdAt, bytes } = template;
	if (body.length !== bytes.length) return undefined;
	const id = body.toString("latin1", idAt[0], (idAt[0] ?? 0) + ID_LENGTH);
	const expected = fill(template, id);
	body.copy(expected, uniqueIdAt, uniqueIdAt, uniqueIdAt + ID_LENGTH);
	return expected.equals(body) ? id : undefined;
}

/** Whom a reply is for, whatever else it says. */
export function idOfAnyReply(body: Buffer): string {
	return /_msg_id\\": ?\\"([^\\]*)/.exec(body.toString("latin1"))?.[1] ?? "";
}

function templateOf(bytes: Buffer, id: string): Template {
	const idAt: number[] = [];
	for (let at = bytes.indexOf(id); at >= 0; at = bytes.indexOf(id, at + ID_LENGTH)) idAt.push(at);
	return { bytes, idAt };
}
