import { RpcClient } from "../../messaging/client.ts";
import { MessageDeliveryFailure, MessagingTimeout } from "../../messaging/errors.ts";
import { toJson } from "../../messaging/json.ts";
import { MemoryTransport } from "../../messaging/memory.ts";
import { routingKey } from "../../messaging/target.ts";
import type { Transport } from "../../messaging/transport.ts";
import { ANSWERED_METHODS } from "../../nova/methods.ts";
import { outcomeOf } from "../../recording/compare.ts";
import { type Conversation, conversationsOf } from "../../recording/conversation.ts";
import type { RecordedMessage } from "../../recording/recording.ts";
import { type BusOptions, connectTo, findBus } from "../bus.ts";
import { complain } from "../complain.ts";
import { counted } from "../counting.ts";
import { CALL_EXIT, REPLAY_EXIT, UsageError } from "../exit-codes.ts";
import { readHosts } from "../hosts.ts";
import { Damage } from "../journal/damage.ts";
import { readJournals } from "../journal/journals.ts";
import { ownerOnly } from "../owner-only.ts";
import { policyOf } from "../policy.ts";
import { readRecordings } from "../record/recordings.ts";
import { writeFile } from "../write-file.ts";
import { expectedOutcomes } from "./expected.ts";
import { junit } from "./junit.ts";
import { renderReplay, renderSummary } from "./render.ts";
import { type Pace, type Replayed, sendAll, targetOf } from "./send-again.ts";
import { type Knowledge, replayService } from "./service.ts";

export interface ReplayOptions extends BusOptions, Pace {
	readonly live?: boolean;
	readonly journal?: readonly string[];
	readonly hosts?: readonly string[];
	readonly policy?: string;
	readonly junit?: string;
	readonly output?: string;
}

const WITHOUT_JOURNAL =
	"the ids in this recording are pseudonyms, and no host is known by them: only `record --journal --share` keeps what was known";

/** Where there is no server in the routing key: whichever is free. */
const ANY_SERVER = "novacompat-replay";

/** `novacompat replay`: sends recorded requests again, and compares what they get with what they got. */
export async function replay(files: readonly string[], options: ReplayOptions): Promise<number> {
	const damage = new Damage();
	const { messages, shared, entries: recorded } = readRecordings(files, damage.line);
	const entries = [...recorded, ...readJournals(options.journal ?? [], "--journal", damage.line)];
	if (shared && entries.length === 0) complain(WITHOUT_JOURNAL);
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
			writeFile(options.output, wireLines(replayed), 0o600);
		}
		if (options.junit !== undefined) writeFile(options.junit, junit(replayed, problems));
		const isSame = replayed.every(({ differences = [] }) => differences.length === 0);
		return isSame && problems.length === 0 ? REPLAY_EXIT.same : REPLAY_EXIT.differs;
	} catch (error) {
		if (!(error instanceof MessageDeliveryFailure || error instanceof MessagingTimeout)) throw error;
		complain(error.message);
		if (options.junit !== undefined) writeFile(options.junit, junit([], [error.message]));
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
	const replies = messages.length - casts;
	const counts = [
		...(casts > 0 ? [counted(casts, "cast")] : []),
		...(replies > 0 ? [counted(replies, "reply", "replies")] : []),
	];
	const told = counts.join(" and ") || "no message at all";
	return `no call to send again, ${told}; expected a recording of calls: requests with method and _msg_id`;
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

/** What came, a line of JSON for each request: by the bytes versions of the service can be compared. */
function wireLines(replayed: readonly Replayed[]): string {
	const lines = replayed.map(({ conversation: { request }, body = null }) => {
		const { _msg_id: id, _context_request_id: request_id = null } = request.message;
		return `${toJson({ id, request_id, body })}\n`;
	});
	return lines.join("");
}
