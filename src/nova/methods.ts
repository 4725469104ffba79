import { conclude, type Decision } from "../compat/decision.ts";
import type { Policy } from "../compat/policy.ts";
import { byStanding, type Ranking, rankingOf, unplaced } from "../compat/rank.ts";
import { type ReasonCode, reason } from "../compat/reason.ts";
import type { Departure } from "../departure.ts";
import type { Logger } from "../log/logger.ts";
import type { Call, Endpoint, Method } from "../messaging/endpoint.ts";
import { RpcFailure, valueError } from "../messaging/errors.ts";
import { MAX_BODY_BYTES } from "../messaging/message.ts";
import type { CheckOptions, Precheck, PrecheckRequest, UnmadeCheck } from "../precheck.ts";
import type { RankDestinations, RankRequest } from "../ranking.ts";
import type { RequestContext } from "./context.ts";
import { logDecision, logRanking } from "./decision-log.ts";
import type { NotifyCheck } from "./notifications.ts";
import { readableParts, readNovaRequest } from "./nova-requests.ts";
import { InvalidRequest } from "./objects.ts";
import { readOwnRequest, readRankRequest } from "./own-requests.ts";
import type { RateLimit } from "./rate-limit.ts";
import { type Told, told, toldText } from "./reply-size.ts";

/** Nova adds minor versions, and with them arguments, and never changes the two that are read here: any minor will do. */
const ANY_MINOR = 1_000_000;

type NovaCall = Call<RequestContext>;
type Args = Readonly<Record<string, unknown>>;
/** Comes to a decision, and writes its one log line. */
type Decide = (options: NovaMethodsOptions, request: PrecheckRequest, call: NovaCall) => Decision | Promise<Decision>;

export interface NovaMethodsOptions {
	readonly precheck: Precheck;
	readonly rankDestinations: RankDestinations;
	readonly policy: () => Policy;
	readonly log: Logger;
	/** Of checks; left out, there is none. */
	readonly rateLimit?: Pick<RateLimit, "exceeded"> | undefined;
	/** Told of every check that is made; left out, nobody is. */
	readonly notifyCheck?: NotifyCheck | undefined;
	/** Told of every decision that is no check's, because of the request or for want of time; left out, nobody is. */
	readonly unchecked?: ((unmade: UnmadeCheck) => void) | undefined;
}

/** What every service of Nova answers: BaseRPCAPI of nova/baserpc.py. nova-compute has one name on its two topics. */
const ping: Method<RequestContext> = {
	required: ["arg"],
	optional: [],
	handler: async ({ arg }, { target }) => ({ service: target.topic.replace(/-alt$/, ""), arg }),
};
const getBackdoorPort: Method<RequestContext> = { required: [], optional: [], handler: async () => null };

/** Those that no service of Nova's has. */
export const OWN_METHODS = ["check_live_migration", "rank_destinations"] as const;

/** Methods by name: what else is in a capture of a bus was for other services. */
export const ANSWERED_METHODS: ReadonlySet<unknown> = new Set([
	...OWN_METHODS,
	"check_can_live_migrate_destination",
	"ping",
	"get_backdoor_port",
	"oslo_rpc_server_ping",
]);

/** Everything that can be called over RPC. */
export function novaEndpoints(options: NovaMethodsOptions): readonly Endpoint<RequestContext>[] {
	const checkLiveMigration: Method<RequestContext> = {
		required: ["request"],
		optional: ["devices"],
		handler: (args, call) => check_live_migration(options, args, call, answer),
		onTimeUp: (args, call) => check_live_migration(options, args, call, notInTime),
	};
	const rankDestinations: Method<RequestContext> = {
		required: ["request"],
		optional: ["devices"],
		handler: (args, call) => rank_destinations(options, args, call),
		onTimeUp: (args, call) => rankingNotInTime(options, args, call),
		maxReply: MAX_BODY_BYTES,
	};
	const checkDestination: Method<RequestContext> = {
		required: ["instance"],
		optional: "any",
		handler: (args, call) => check_can_live_migrate_destination(options, args, call, answer),
		onTimeUp: (args, call) => check_can_live_migrate_destination(options, args, call, notInTime),
	};
	const ours = new Map([
		["check_live_migration", checkLiveMigration], // 1.0
		["rank_destinations", rankDestinations], // 1.1
	]);
	const novas = new Map([["check_can_live_migrate_destination", checkDestination]]);
	const base = new Map([
		["ping", ping],
		["get_backdoor_port", getBackdoorPort],
	]);
	return [
		{ namespace: null, version: "1.1", methods: ours },
		{ namespace: null, version: `5.${ANY_MINOR}`, methods: novas },
		{ namespace: null, version: `6.${ANY_MINOR}`, methods: novas },
		{ namespace: "baseapi", version: "1.1", methods: base },
	];
}

/** Ours, 1.0: returns the Decision, or what there is room for of its reasons. What is not compatible is an answer, a malformed request a ValueError. */
async function check_live_migration(
	options: NovaMethodsOptions,
	args: Args,
	call: NovaCall,
	decide: Decide,
): Promise<Told> {
	return told(await decide(options, ours(readOwnRequest, args), call));
}

/**
 * Ours, 1.1: returns how many hosts have which verdict, and the best `limit` hosts, each with its Decision; a host that cannot be
 * asked is unknown.
 */
async function rank_destinations(methods: NovaMethodsOptions, args: Args, call: NovaCall): Promise<Ranking> {
	const { rankDestinations, log } = methods;
	const request = ours(readRankRequest, args);
	const refused = oneTooMany(methods, request);
	if (refused) return rankingOfOne(refused, request);
	const options = new CallOptions(call);
	const ranking = await rankDestinations(request, options);
	logRanking(log, request, ranking, call.context, options);
	return ranking;
}

/** A request of our own that cannot be read is the caller's mistake. */
function ours<T>(read: (args: Args) => T, args: Args): T {
	try {
		return read(args);
	} catch (error) {
		if (error instanceof InvalidRequest) throw valueError(error.message);
		throw error;
	}
}

/**
 * Nova's own pre-check (nova/compute/rpcapi.py): null when the migration may go on. Anything but MigrationPreCheckError
 * would set the instance to ERROR, so every doubt becomes one.
 */
async function check_can_live_migrate_destination(
	options: NovaMethodsOptions,
	args: Args,
	call: NovaCall,
	decide: Decide,
): Promise<null> {
	let decision: Decision;
	try {
		decision = await decide(options, readNovaRequest(args, call.target), call);
	} catch (error) {
		if (!(error instanceof InvalidRequest)) options.log.exception("check failed", error, call.context);
		const text = error instanceof InvalidRequest ? error.message : "the check failed, see the log of novacompat";
		decision = unmade(options, "request.invalid", text);
		tellUnmade(options, decision, readableParts(args, call.target), call);
	}
	const refusal = novaRefusal(decision);
	if (refusal) throw refusal;
	return null;
}

/** What Nova gets; undefined where it gets null, and goes on. */
export function novaRefusal(decision: Decision): RpcFailure | undefined {
	return decision.allowed ? undefined : migrationPreCheckError(toldText(decision));
}

/** Constructor arguments as in nova/exception.py: the full message, and the fields that formatted it. */
function migrationPreCheckError(text: string): RpcFailure {
	const message = `Migration pre-check error: ${text}`;
	return new RpcFailure("MigrationPreCheckError", "nova.exception", message, [message], { reason: text, code: 500 });
}

/** The decision about a check that was not made. */
function unmade({ policy }: NovaMethodsOptions, code: ReasonCode, text: string): Decision {
	return conclude("unknown", [reason(code, "nova", text)], policy(), text);
}

/** The decision about a check that its call had no time for: what a silent agent leaves, too. */
function timeUp(options: NovaMethodsOptions): Decision {
	return unmade(options, "agent.timeout", "the check was not finished in the time of the call");
}

/** A check that was begun ends when its signal says so: this is one that was not begun, and no other is counted for it. */
function notInTime(options: NovaMethodsOptions, request: PrecheckRequest, call: NovaCall): Decision {
	const decision = timeUp(options);
	tellUnmade(options, decision, request, call);
	return decision;
}

function tellUnmade(
	{ log, policy, unchecked }: NovaMethodsOptions,
	decision: Decision,
	request: UnmadeCheck["request"],
	{ context }: NovaCall,
): void {
	logDecision(log, decision, request, context);
	unchecked?.({ request, policy: policy(), decision, options: context, at: Date.now() });
}

function rankingNotInTime(options: NovaMethodsOptions, args: Args, { context }: NovaCall): Ranking {
	const request = ours(readRankRequest, args);
	const ranking = rankingOfOne(timeUp(options), request);
	logRanking(options.log, request, ranking, context);
	return ranking;
}

/** The decision about a check that is not made because there were too many; no log line, there would be as many. */
function oneTooMany(options: NovaMethodsOptions, { source_host }: Departure): Decision | undefined {
	const exceeded = options.rateLimit?.exceeded(source_host);
	if (exceeded === undefined) return undefined;
	const text = `more than ${exceeded.limit} allows (${exceeded.rate}): the check was not made`;
	return unmade(options, "request.rate_limited", text);
}

/** The same about every host. */
function rankingOfOne(decision: Decision, { dest_hosts, limit }: RankRequest): Ranking {
	const standings = [...new Set(dest_hosts)].map((host) => unplaced([host, decision])).sort(byStanding);
	return rankingOf(standings, () => decision, limit);
}

async function answer(methods: NovaMethodsOptions, request: PrecheckRequest, call: NovaCall): Promise<Decision> {
	const { precheck, log, notifyCheck } = methods;
	const refused = oneTooMany(methods, request);
	if (refused) return refused;
	const started = performance.now();
	const options = new CallOptions(call);
	const decision = await precheck(request, options);
	const duration = performance.now() - started;
	logDecision(log, decision, request, call.context, { duration, snapshotAge: options.snapshotAge });
	notifyCheck?.(request, decision, call.context);
	return decision;
}

/** What a check needs of its call. The ids join the log lines of agents, and what is written of a check, with Nova's. */
class CallOptions implements CheckOptions {
	readonly request_id: string | undefined;
	readonly global_request_id: string | undefined;
	readonly traceparent: string | undefined;
	/** Of the oldest snapshot, in seconds; undefined while there is none. */
	snapshotAge: number | undefined;
	readonly #call: NovaCall;

	constructor(call: NovaCall) {
		this.request_id = call.context.request_id;
		this.global_request_id = call.context.global_request_id;
		this.traceparent = call.context.traceparent;
		this.#call = call;
	}

	/** Made when an agent must be asked: most snapshots are known, and a signal costs more than what is done with them. */
	get signal(): AbortSignal {
		return this.#call.signal;
	}

	aged(seconds: number): void {
		this.snapshotAge = Math.max(this.snapshotAge ?? 0, seconds);
	}
}
