import { writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { RpcClient } from "../messaging/client.ts";
import { MessageDeliveryFailure, MessageUndeliverable, MessagingTimeout, RemoteError } from "../messaging/errors.ts";
import { toJson } from "../messaging/json.ts";
import { MemoryTransport } from "../messaging/memory.ts";
import { type ClientTarget, routingKey } from "../messaging/target.ts";
import type { Transport } from "../messaging/transport.ts";
import { ANSWERED_METHODS } from "../nova/methods.ts";
import { reduceMessage } from "../recording/allow-list.ts";
import {
	compareOutcomes,
	type Difference,
	isOfNovaCompute,
	type Outcome,
	outcomeOf,
	refusalOf,
} from "../recording/compare.ts";
import { type Conversation, conversationsOf } from "../recording/conversation.ts";
import type { RecordedMessage } from "../recording/recording.ts";
import { JournalDamage } from "./basis.ts";
import { type BusOptions, connectTo, findBus } from "./bus.ts";
import { complain } from "./complain.ts";
import { CALL_EXIT, REPLAY_EXIT, UsageError } from "./exit-codes.ts";
import { policyOf } from "./explain.ts";
import { readHosts } from "./hosts.ts";
import { readJournals } from "./journals.ts";
import { junit } from "./junit.ts";
import { ownerOnly } from "./owner-only.ts";
import { progressBar } from "./progress.ts";
import { readRecordings } from "./recordings.ts";
import { renderReplay, renderSummary } from "./render-replay.ts";
import { expectedOutcomes } from "./replay-expected.ts";
import { type Knowledge, replayService } from "./replay-service.ts";

export interface ReplayOptions extends BusOptions {
	readonly live?: boolean;
	readonly journal?: readonly string[];
	readonly hosts?: readonly string[];
	readonly policy?: string;
	readonly junit?: string;
	readonly output?: string;
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

/** Where there is no server in the routing key: whichever is free. */
const ANY_SERVER = "novacompat-replay";

/** `novacompat replay`: sends recorded requests again, and compares what they get with what they got. */
export async function replay(files: readonly string[], options: ReplayOptions): Promise<number> {
	const damage = new JournalDamage();
	const { messages, shared, entries: recorded } = readRecordings(files, damage.line);
	const entries = [...recorded, ...readJournals(options.journal ?? [], "--journal", damage.line)];
	const calls = conversationsOf(messages);
	if (calls.length === 0) throw new UsageError(`${files.join(", ")}: ${withoutCalls(messages)}`);
	const conversations = calls.filter(isForUs);
	const { live, transportUrl, configFile, configDir, novaConf } = options;
	const isLive = [live, transportUrl, configFile, configDir, novaConf].some((given) => given !== undefined);
	const transport = isLive ? connectTo(findBus(options), "novacompat-replay") : new MemoryTransport();
	const service = isLive
		? undefined
		: await serviceFor(transport, conversations, { entries, basisOf: damage.basisOf }, options);
	await service?.start();
	const client = new RpcClient(transport);
	try {
		const replayed = await sendAll(
			client,
			conversations,
			{ shared, was: expectedOutcomes(conversations, entries) },
			options,
		);
		const problems = [...problemsOf(replayed), ...damage.problems];
		process.stdout.write(
			renderReplay(replayed) + renderSummary(replayed, calls.length - conversations.length, problems),
		);
		if (options.output !== undefined) {
			ownerOnly(options.output);
			writeFileSync(options.output, wireLines(replayed), { mode: 0o600 });
		}
		if (options.junit !== undefined) writeFileSync(options.junit, junit(replayed, problems));
		const isSame = replayed.every(({ differences = [] }) => differences.length === 0);
		return isSame && problems.length === 0 ? REPLAY_EXIT.same : REPLAY_EXIT.differs;
	} catch (error) {
		if (!(error instanceof MessageDeliveryFailure || error instanceof MessagingTimeout)) throw error;
		complain(error.message);
		return CALL_EXIT.noBroker;
	} finally {
		await client.close();
		await service?.stop();
		await transport.close();
	}
}

/** A call that we answer, or that was answered as we do what we know nothing of: a capture of a bus has those of all services. */
function isForUs({ request, reply }: Conversation): boolean {
	const { failure } = reply ? outcomeOf(reply.message) : {};
	const { class: type } = Object(failure) as Record<string, unknown>;
	return ANSWERED_METHODS.has(request.message["method"]) || type === "NoSuchMethod";
}

/** Why there is nothing to send. */
function withoutCalls(messages: readonly RecordedMessage[]): string {
	const casts = messages.filter(({ message }) => Object.hasOwn(message, "method")).length;
	const counts = [counted(casts, "cast", "casts"), counted(messages.length - casts, "reply", "replies")];
	const told = counts.filter((count) => count !== undefined).join(" and ") || "no message at all";
	return `no call to send again, ${told}; expected a recording of calls: requests with method and _msg_id`;
}

function counted(count: number, one: string, many: string): string | undefined {
	return count === 0 ? undefined : `${count} ${count === 1 ? one : many}`;
}

/** A recording that has lost its replies must not be a success. */
function problemsOf(replayed: readonly Replayed[]): readonly string[] {
	if (replayed.some(({ differences }) => differences !== undefined)) return [];
	return ["nothing was compared: no request has a recorded reply, or a decision in the journal of the shadow"];
}

async function serviceFor(
	transport: Transport,
	conversations: readonly Conversation[],
	made: Pick<Knowledge, "entries" | "basisOf">,
	{ hosts = [], policy }: ReplayOptions,
) {
	const targets = conversations
		.map(({ request }) => targetOf(request))
		.map((target) => ({ server: ANY_SERVER, ...target }));
	const distinct = new Map(targets.map((target) => [`${target.exchange} ${routingKey(target)}`, target]));
	return replayService(transport, [...distinct.values()], {
		...made,
		hosts: await readHosts(hosts),
		policy: policyOf(policy),
		isPolicyGiven: policy !== undefined,
	});
}

/** All of them, as many at once as there may be; the results in the order of the requests. */
async function sendAll(
	client: RpcClient,
	conversations: readonly Conversation[],
	recorded: Recorded,
	{ rate = Number.POSITIVE_INFINITY, concurrency, timeout }: ReplayOptions,
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

/** What came, a line of JSON for each request: by the bytes versions of the service can be compared. */
function wireLines(replayed: readonly Replayed[]): string {
	const lines = replayed.map(({ conversation: { request }, body = null }) => {
		const { _msg_id: id, _context_request_id: request_id = null } = request.message;
		return `${JSON.stringify({ id, request_id, body })}\n`;
	});
	return lines.join("");
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

function targetOf({ exchange, routing_key }: Conversation["request"]): ClientTarget {
	const [, topic = "", server] = /^([^.]*)(?:\.(.*))?$/s.exec(routing_key) ?? [];
	return { exchange, topic, ...(server !== undefined && { server }) };
}
