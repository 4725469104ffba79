import type { JournalEntry } from "../../journal/reader.ts";
import { encodeFailure } from "../../messaging/failure.ts";
import { novaRefusal } from "../../nova/methods.ts";
import { observeMessage } from "../../nova/observed.ts";
import { reduceMessage } from "../../recording/allow-list.ts";
import { type Outcome, outcomeOf } from "../../recording/compare.ts";
import type { Conversation } from "../../recording/conversation.ts";
import { entriesByKey, keyOf } from "./service.ts";

/**
 * What requests got, as far as it is known: from the reply; or, where we only listened in, what the journal says that we would have
 * answered.
 */
export function expectedOutcomes(
	conversations: readonly Conversation[],
	entries: readonly JournalEntry[],
): ReadonlyMap<Conversation, Outcome> {
	const inShadow = entriesByKey(entries.filter(({ shadow }) => shadow));
	const expected = new Map<Conversation, Outcome>();
	for (const conversation of conversations) {
		const { reply } = conversation;
		const entry = reply ? undefined : inShadow.get(watchedKey(conversation))?.shift();
		if (reply) expected.set(conversation, outcomeOf(reply.message));
		else if (entry) expected.set(conversation, answerTo(entry));
	}
	return expected;
}

/** Empty where it is no check of Nova's. */
function watchedKey({ request: { message, routing_key } }: Conversation): string {
	try {
		const observed = observeMessage(message, routing_key);
		return observed?.kind === "check" ? keyOf(observed.request, observed.context.request_id) : "";
	} catch {
		return "";
	}
}

function answerTo({ decision }: JournalEntry): Outcome {
	const refusal = novaRefusal(decision);
	return outcomeOf(reduceMessage({ result: null, failure: refusal ? encodeFailure(refusal) : null }));
}
