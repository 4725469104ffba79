import { comparerFor } from "./comparer.ts";
import { conclude, type Decision } from "./decision.ts";
import type { Candidate, Device } from "./device.ts";
import { digest } from "./digest.ts";
import { refusedLookalikes } from "./lookalikes.ts";
import { nearestOf } from "./nearest.ts";
import { expandUevent } from "./normalise.ts";
import { once } from "./once.ts";
import { few } from "./pair.ts";
import type { Policy } from "./policy.ts";
import { bugfixOf, byId, capacityOf, type Pool, poolsOf, type Seat } from "./pool.ts";
import { type Reason, reason } from "./reason.ts";
import { landsOn, type Option, type Settlement, settle } from "./settle.ts";

export interface Question {
	readonly source_host: string;
	readonly target_host: string;
	/** The devices that must continue, and what the target host has free. */
	readonly devices: readonly Device[];
	readonly candidates: readonly Candidate[];
	readonly policy: Policy;
}

/** The half of a question that all target hosts share. */
export type Asker = Pick<Question, "source_host" | "devices" | "policy">;

/** The other half: what one target host has free. */
export interface Offer {
	readonly target_host: string;
	readonly pools: readonly Pool[];
}

/** A decision and how it came about, for explanations. */
export interface Answer {
	readonly decision: Decision;
	readonly settlement: Settlement<Device, Pool>;
	/** By id. */
	readonly devices: readonly Device[];
	/** What the device might land on by its kind, with how well it fits. */
	readonly optionsOf: (device: Device) => readonly Option<Pool>[];
	/** The reasons of one pair, with its names. */
	readonly reasonsOf: (device: Device, candidate: Candidate, pool: Pool) => readonly Reason[];
}

/** Whether these devices, described by these attributes, can continue on that host. Pure: same question, same answer. */
export function decide(question: Question): Decision {
	return answer(question).decision;
}

export function answer(question: Question): Answer {
	return answerer(question)({ target_host: question.target_host, pools: poolsOf(question.candidates) });
}

/** Answers for any number of target hosts; classes of devices that were compared for one are not compared for the next. */
export function answerer({ source_host, devices: unordered, policy }: Asker): (offer: Offer) => Answer {
	const devices = byId(unordered).map(expandUevent);
	const comparer = comparerFor(policy);
	const asked = digest([source_host, devices.map(digestOfDevice), digestOfPolicy(policy)]);
	return (offer) => {
		const { target_host, pools } = offer;
		const fitOf: FitOf = (device, candidate, { key }) =>
			comparer.fit({ source_host, device, candidate, target_host }, key);
		const reasonsOf: Answer["reasonsOf"] = (device, candidate, { key }) =>
			comparer.reasons({ source_host, device, candidate, target_host }, key);
		const optionsOf = once((device: Device) => optionsAmong(pools, device, fitOf));
		const settlement = settle(devices, optionsOf);
		const question = [asked, target_host, digestOfPools(pools)];
		const { verdict, assigned } = settlement;
		const how = { settlement, devices, optionsOf, reasonsOf };
		if (verdict === "reject") {
			const reasons = settlement.contested.flatMap((contest) => objections(contest, { source_host, target_host }, how));
			return { decision: conclude(verdict, reasons, policy, question), ...how };
		}
		const seats = seatsOf(devices, assigned);
		const reasons = [...seats].flatMap(([device, { candidate, pool }]) => {
			const own = reasonsOf(device, candidate, pool);
			return [...own, ...refusedLookalikes(target_host, device, own, optionsOf(device), policy)];
		});
		const mapping = Object.fromEntries([...seats].map(([device, { candidate }]) => [device.id, candidate.id]));
		return { decision: conclude(verdict, reasons, policy, question, mapping), ...how };
	};
}

const digestOfPolicy = once((policy: Policy) => digest(policy));
const digestOfDevice = once(({ id, kind, attributes, unreadable, overlaid = {} }: Device) =>
	digest([id, kind, attributes, unreadable, overlaid]),
);
const digestOfPools = once((pools: readonly Pool[]) =>
	digest(pools.map(({ key, candidates }) => [key, candidates.map(({ id, capacity }) => [id, capacity])])),
);

type FitOf = (device: Device, candidate: Candidate, pool: Pool) => Option<Pool>["fit"];

/** What a device can land on by its kind; any candidate of a pool stands for all of them. */
export function optionsAmong(pools: readonly Pool[], device: Device, fitOf: FitOf): readonly Option<Pool>[] {
	const kinds = landsOn(device.kind);
	return pools
		.filter(({ first }) => kinds.includes(first.kind))
		.map((pool) => ({ candidate: pool, fit: fitOf(device, pool.first, pool), bugfix: bugfixOf(pool.first) }));
}

/** Which candidate of its pool each device takes: the devices of a pool by id, the candidates by id. */
export function seatsOf(devices: readonly Device[], assigned: ReadonlyMap<Device, Pool>): ReadonlyMap<Device, Seat> {
	const pools = new Set(assigned.values());
	const seats = new Map(
		[...pools].flatMap((pool) => [
			...seated(
				devices.filter((device) => assigned.get(device) === pool),
				pool,
			),
		]),
	);
	return new Map(
		devices.flatMap((device) => {
			const seat = seats.get(device);
			return seat ? [[device, seat] as const] : [];
		}),
	);
}

function* seated(devices: readonly Device[], pool: Pool): Generator<readonly [Device, Seat]> {
	const waiting = devices.values();
	for (const candidate of pool.candidates) {
		for (let taken = 0; taken < candidate.capacity; taken++) {
			const next = waiting.next();
			if (next.done) return;
			yield [next.value, { candidate, pool }];
		}
	}
}

/** What a sentence calls them. */
const KINDS: Readonly<Record<string, string>> = { pci: "PCI device", mdev_type: "mdev type", vdpa: "vDPA device" };

/** Why there is nothing for a device: others have it, or the one that comes closest does not do, or there is nothing of its kind. */
function objections(
	{ device, rivals, candidates: full }: Answer["settlement"]["contested"][number],
	{ source_host, target_host }: Pick<Question, "source_host" | "target_host">,
	{ optionsOf, reasonsOf }: Pick<Answer, "optionsOf" | "reasonsOf">,
): readonly Reason[] {
	if (full.length > 0) return [exhausted(target_host, device, rivals, full)];
	const nearest = nearestOf(optionsOf(device));
	if (nearest) return reasonsOf(device, nearest.candidate, nearest.pool);
	const wanted = landsOn(device.kind).map((kind) => KINDS[kind] ?? kind);
	const message = `${target_host} has no free ${wanted.join(" or ")} for ${source_host} ${device.id}`;
	return [reason("candidate.none", "match", message, { device: device.id })];
}

/** First how much there is: of a long text Nova keeps the beginning. */
function exhausted(target_host: string, device: Device, rivals: readonly Device[], pools: readonly Pool[]): Reason {
	const full = byId(pools.flatMap(({ candidates }) => candidates));
	const names = few(full.map(({ id }) => id));
	const all = byId([device, ...rivals]).map(({ id }) => id);
	const demand =
		all.length === 1 ? `${device.id} needs (${names})` : `${all.length} devices compete for (${names}): ${few(all)}`;
	const message = `${target_host} has ${capacityOf(full) || "none"} free of what ${demand}`;
	const candidate = full.length === 1 ? full[0]?.id : undefined;
	return reason("capacity.exhausted", "match", message, { device: device.id, ...(candidate && { candidate }) });
}
