import { parseJson, toJson } from "../messaging/json.ts";

/** What a caller got: the result, or the failure. */
export type Outcome = Readonly<Record<string, unknown>>;

/** Where two outcomes differ: a path and what is there, JSON, or nothing. */
export interface Difference {
	readonly path: string;
	readonly recorded: string | undefined;
	readonly now: string | undefined;
}

/** What is another in every call: which boot and generation of a host its agent has scanned. */
const VOLATILE = /^result\.(hosts\.\d+\.)?snapshots(\.|$)/;
/** A decision is named after what it follows from; a recording that was made to be shared has other ids in it. */
const DECISION_ID = / ?\[[0-9a-f]{12}\]/g;
const IS_DECISION_ID = /^result\.(hosts\.\d+\.)?id$/;

/** How long ago an agent could not be asked, or its host was read: it is in messages, and another in every call. */
const AGES = /(?:, asked)? (of )?\d+(\.\d)? s ago\b| for \d+ s(?= \(limit )/g;

const CHECK_OF_NOVA = "check_can_live_migrate_destination";
/** What a caller has when nothing came. */
const NO_ANSWER: ReadonlySet<unknown> = new Set(["MessagingTimeout", "MessageUndeliverable"]);

/** The outcome in a recorded reply. */
export function outcomeOf(reply: Readonly<Record<string, unknown>>): Outcome {
	const { failure, result = null } = reply;
	if (typeof failure !== "string") return { result };
	const { class: type, module, message, args, kwargs } = parseJson(failure) as Record<string, unknown>;
	return { failure: { class: type, module, message, args, kwargs } };
}

/**
 * Whether a nova-compute's own method has answered, not ours in its place: it returns an object, and fails with a traceback,
 * of which `reduceMessage` says that it was there.
 */
export function isOfNovaCompute(method: unknown, { result, failure }: Readonly<Record<string, unknown>>): boolean {
	if (method !== CHECK_OF_NOVA) return false;
	if (typeof failure !== "string") return typeof result === "object" && result !== null;
	const { tb } = parseJson(failure) as Record<string, unknown>;
	return Array.isArray(tb) && tb.length > 0;
}

/** What of a nova-compute's answer can be compared with ours: whether it refused. What is no answer stays what it is. */
export function refusalOf(outcome: Outcome): Outcome {
	const { class: type } = Object(outcome["failure"]) as Record<string, unknown>;
	return NO_ANSWER.has(type) ? outcome : { refused: outcome["failure"] !== undefined };
}

/** Every difference that is none of time; `shared`: ids of decisions are none either. */
export function compareOutcomes(recorded: Outcome, now: Outcome, shared = false): readonly Difference[] {
	const [was, is] = [recorded, now].map((outcome) => leavesOf(outcome, shared));
	const paths = [...new Set([...(was?.keys() ?? []), ...(is?.keys() ?? [])])];
	return paths
		.map((path) => ({ path, recorded: was?.get(path), now: is?.get(path) }))
		.filter((one) => one.recorded !== one.now);
}

/** What is not there and what is undefined are the same. */
function leavesOf(outcome: Outcome, shared: boolean): ReadonlyMap<string, string> {
	const leaves = new Map<string, string>();
	const visit = (path: string, value: unknown): void => {
		if (VOLATILE.test(path) || value === undefined) return;
		if (typeof value === "object" && value !== null && Object.keys(value).length > 0) {
			for (const [key, item] of Object.entries(value)) visit(path === "" ? key : `${path}.${key}`, item);
		} else if (!(shared && IS_DECISION_ID.test(path))) {
			const lasting = toJson(value).replace(AGES, "");
			leaves.set(path, shared ? lasting.replace(DECISION_ID, "") : lasting);
		}
	};
	visit("", outcome);
	return leaves;
}
