import type { Policy } from "../../compat/policy.ts";
import type { JournalEntry } from "../../journal/reader.ts";
import { createLogger } from "../../log/logger.ts";
import { RpcServer } from "../../messaging/server.ts";
import type { ServerTarget } from "../../messaging/target.ts";
import type { Transport } from "../../messaging/transport.ts";
import { deserializeContext, type RequestContext } from "../../nova/context.ts";
import { novaEndpoints } from "../../nova/methods.ts";
import { checkAgain, createPrecheck, type Precheck, type PrecheckRequest } from "../../precheck.ts";
import { createRanking } from "../../ranking.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { SnapshotError, type SnapshotSource } from "../../snapshot/source.ts";
import type { Damage } from "../journal/damage.ts";

/** What the service knows instead of agents. */
export interface Knowledge {
	/** Checks that were made: the same one is made of the same again. */
	readonly entries: readonly JournalEntry[];
	/** What such a check was made of. */
	readonly basisOf: Damage["basisOf"];
	/** For everything else. */
	readonly hosts: readonly Snapshot[];
	readonly policy: Policy;
	/** Whether the policy is that of the command line, also for checks that were made. */
	readonly isPolicyGiven: boolean;
}

const MAX_CALL_TIME = 60;

/** The service, with what was known then in place of agents. */
export function replayService(
	transport: Transport,
	targets: readonly ServerTarget[],
	knowledge: Knowledge,
): RpcServer<RequestContext> {
	const log = createLogger("novacompat.replay", false, () => undefined);
	const policy = () => knowledge.policy;
	const snapshots = snapshotsOf(knowledge);
	return new RpcServer({
		transport,
		targets,
		endpoints: novaEndpoints({
			precheck: madeAgain(knowledge, createPrecheck(snapshots, policy)),
			rankDestinations: createRanking(snapshots, policy),
			policy,
			log,
		}),
		deserializeContext,
		log,
		maxInFlight: 64,
		maxCallTime: MAX_CALL_TIME,
		ping: true,
	});
}

/** A check that was asked for more than once takes its turns in the order of the journal. */
function madeAgain({ entries, basisOf, policy, isPolicyGiven }: Knowledge, otherwise: Precheck): Precheck {
	const made = entriesByKey(entries);
	return async (request, options) => {
		const entry = made.get(keyOf(request, options.request_id))?.shift();
		const basis = entry && basisOf(entry);
		if (basis === undefined) return otherwise(request, options);
		return checkAgain(request, isPolicyGiven ? { ...basis, policy } : basis);
	};
}

/** Those that have the same key, in their order. */
export function entriesByKey(entries: readonly JournalEntry[]): ReadonlyMap<string, JournalEntry[]> {
	const found = new Map<string, JournalEntry[]>();
	for (const entry of entries) {
		const key = keyOf(entry.request, entry.request_id);
		found.set(key, [...(found.get(key) ?? []), entry]);
	}
	return found;
}

/** By which a check that was made is found again. */
export function keyOf(
	{ instance_uuid, source_host, dest_host }: Pick<PrecheckRequest, "instance_uuid" | "source_host" | "dest_host">,
	request_id = "-",
): string {
	return JSON.stringify([instance_uuid, source_host, dest_host, request_id]);
}

/** What is given goes before the last that a journal says of a host. */
function snapshotsOf({ entries, basisOf, hosts }: Knowledge): SnapshotSource {
	const known = new Map<string, Snapshot>();
	for (const entry of entries) {
		const basis = entry.unchecked ? undefined : basisOf(entry);
		for (const one of basis ? [basis.source, basis.target] : []) {
			if (one !== "not asked" && !(one instanceof SnapshotError)) known.set(one.host, one);
		}
	}
	for (const host of hosts) known.set(host.host, host);
	return {
		async fetch(host) {
			const snapshot = known.get(host);
			if (snapshot) return snapshot;
			throw new SnapshotError("agent.unconfigured", `no agent is configured for host ${JSON.stringify(host)}`);
		},
	};
}
