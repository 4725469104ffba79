import { readReply } from "../messaging/message.ts";
import type { RecordedMessage } from "./recording.ts";

/** A recorded request and what it got. */
export interface Conversation {
	readonly request: RecordedMessage;
	/** The reply that ended the call; absent when none was recorded. */
	readonly reply: RecordedMessage | undefined;
}

/** Calls in their order, each with its reply; replies to nothing are left out, and so are casts: nothing comes back of them. */
export function conversationsOf(messages: readonly RecordedMessage[]): readonly Conversation[] {
	const replies = new Map<unknown, RecordedMessage>();
	for (const message of messages) {
		if (isReply(message) && readReply(message.message).ending) replies.set(message.message["_msg_id"], message);
	}
	return messages
		.filter(({ message }) => Object.hasOwn(message, "method") && typeof message["_msg_id"] === "string")
		.map((request) => ({ request, reply: replies.get(request.message["_msg_id"]) }));
}

function isReply({ message }: RecordedMessage): boolean {
	return !Object.hasOwn(message, "method") && typeof message["_msg_id"] === "string";
}
