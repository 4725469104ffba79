import { setTimeout as sleep } from "node:timers/promises";
import type { RpcClient } from "../../messaging/client.ts";
import { MessageUndeliverable, MessagingTimeout, RemoteError } from "../../messaging/errors.ts";
import { toJson } from "../../messaging/json.ts";
import type { ClientTarget } from "../../messaging/target.ts";
import { reduceMessage } from "../../recording/allow-list.ts";
import {
	compareOutcomes,
	type Difference,
	isOfNovaCompute,
	type Outcome,
	outcomeOf,
	refusalOf,
} from "../../recording/compare.ts";
import type { Conversation } from "../../recording/conversation.ts";
import { progressBar } from "./progress.ts";

/** How a recording is sent. */
export interface Pace {
	/** Requests that are begun in a second, and that are under way at once. */
	readonly rate?: number;
	readonly concurrency: number;
	/** Seconds. */
	readonly timeout: number;
}

/** A request that was sent again. */
export interface Replayed {
	readonly conversation: Conversation;
	readonly now: Outcome;
	/** Undefined where it is not known what it got. */
	readonly differences: readonly Difference[] | undefined;
	/** Seconds. */
	readonly duration: number;
	/** The reply on the wire, with the ids of the recorded call; undefined where none came. */
	readonly body: string | undefined;
}

/** What the requests got; and whether the ids in it are pseudonyms. */
interface Recorded {
	readonly was: ReadonlyMap<Conversation, Outcome>;
	readonly shared: boolean;
}

/** All of them, as many at once as there may be; the results in the order of the requests. */
export async function sendAll(
	client: RpcClient,
	conversations: readonly Conversation[],
	recorded: Recorded,
	{ rate = Number.POSITIVE_INFINITY, concurrency, timeout }: Pace,
): Promise<readonly Replayed[]> {
	const results: Replayed[] = [];
	const started = performance.now();
	const waiting = conversations.entries();
	const progress = progressBar(conversations.length, process.stderr);
	let [done, different] = [0, 0];
	progress(0, "");
	const work = async () => {
		for (const [index, conversation] of waiting) {
			const early = started + (index * 1000) / rate - performance.now();
			if (early > 0) await sleep(early);
			const result = await sendAgain(client, conversation, recorded, timeout);
			results[index] = result;
			if (result.differences?.length) different++;
			progress(++done, `${different} different`);
		}
	};
	await Promise.all(Array.from({ length: concurrency }, work));
	return results;
}

async function sendAgain(
	client: RpcClient,
	conversation: Conversation,
	{ was, shared }: Recorded,
	timeout: number,
): Promise<Replayed> {
	const { request } = conversation;
	const started = performance.now();
	let body: string | undefined;
	const onBody = (bytes: Buffer, msgId: string) => {
		body = withIdsOf(request, bytes, msgId);
	};
	const now = await outcomeNow(client.send(targetOf(request), request.message, { timeout, onBody }));
	const duration = (performance.now() - started) / 1000;
	const then = was.get(conversation);
	return { conversation, now, differences: then && differencesOf(conversation, then, now, shared), duration, body };
}

const UNIQUE_ID = /(?<=_unique_id\W+)[0-9a-f]{32}/g;

function differencesOf({ request, reply }: Conversation, then: Outcome, now: Outcome, shared: boolean) {
	const isOfNova = reply !== undefined && isOfNovaCompute(request.message["method"], reply.message);
	return isOfNova ? compareOutcomes(refusalOf(then), refusalOf(now)) : compareOutcomes(then, now, shared);
}

/** Both ids of a call are others each time: `_msg_id` becomes that of the recorded call, `_unique_id` zeros. */
function withIdsOf({ message }: Conversation["request"], body: Buffer, msgId: string): string {
	return body.toString("utf8").replaceAll(msgId, String(message["_msg_id"])).replace(UNIQUE_ID, "0".repeat(32));
}

/** As a recording would have it. Throws what says nothing about the service: no connection. */
async function outcomeNow(sent: Promise<unknown>): Promise<Outcome> {
	try {
		return outcomeOf(reduceMessage({ result: await sent, failure: null }));
	} catch (error) {
		if (error instanceof RemoteError) {
			const { excType, module, value: message, args, kwargs } = error;
			return outcomeOf(reduceMessage({ failure: toJson({ class: excType, module, message, args, kwargs }) }));
		}
		const isAnswer = error instanceof MessageUndeliverable || (error instanceof MessagingTimeout && error.sent);
		if (!isAnswer) throw error;
		return { failure: { class: error.name, message: error.message } };
	}
}

/** Where a recorded request went. */
export function targetOf({ exchange, routing_key }: Conversation["request"]): ClientTarget {
	const [, topic = "", server] = /^([^.]*)(?:\.(.*))?$/s.exec(routing_key) ?? [];
	return { exchange, topic, ...(server !== undefined && { server }) };
}
