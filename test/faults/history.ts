/** One request as the caller saw it. Times are milliseconds of one clock. */
export interface Asked {
	readonly id: string;
	readonly sentAt: number;
	/** Milliseconds in which a server that has the request answers: min(15 s, half of what the caller waits). */
	readonly budget: number;
	/** What the pure engine says about the same snapshots; absent where the request asks for no decision. */
	readonly expected?: Expected;
}

export interface Expected {
	readonly allowed: boolean;
	readonly verdict: string;
}

/** Every message that came for a request; a heartbeat is no answer. */
export interface Answer {
	readonly id: string;
	readonly at: number;
	readonly result: unknown;
	/** JSON text, as on the wire. */
	readonly failure: string | null;
	readonly ending: boolean;
}

export interface History {
	readonly asked: readonly Asked[];
	readonly answers: readonly Answer[];
	/** When something was broken: no server had the request, or none could answer. */
	readonly faults: readonly { readonly from: number; readonly to: number }[];
	/** Everything that was logged or replied. */
	readonly text: string;
	/** What nobody may log or reply. */
	readonly secrets: readonly string[];
}

/** What is granted to a loaded machine: the promise is the server's, and the clock is the caller's. */
const GRACE_MS = 1_000;
const MAX_SHOWN = 200;

/** What of a history breaks a promise, one text each; an empty list is a good history. */
export function violations(history: History): readonly string[] {
	const byId = new Map<string, Answer[]>(history.asked.map(({ id }) => [id, []]));
	const strays = history.answers.filter((answer) => !byId.get(answer.id)?.push(answer));
	return [
		...strays.map(({ id }) => `${id}: an answer that nobody asked for`),
		...history.asked.flatMap((request) =>
			mistakes(request, byId.get(request.id) ?? [], history).map((mistake) => `${request.id}: ${mistake}`),
		),
		...history.secrets.filter((secret) => history.text.includes(secret)).map(() => "a secret is shown"),
	];
}

function mistakes(request: Asked, messages: readonly Answer[], history: History): readonly string[] {
	const [first, ...later] = messages.filter(({ ending }) => ending);
	if (first === undefined) return [];
	const heartbeats = messages.slice(messages.indexOf(first)).filter(({ ending }) => !ending);
	return [
		...heartbeats.map(() => "a heartbeat after the answer"),
		// The same one again is what a redelivered request gets; callers drop it.
		...later.filter((other) => outcome(other) !== outcome(first)).map(() => "two answers that differ"),
		...[first, ...later].flatMap((answer) =>
			[classOf(answer, request) ?? [], late(answer, request, history) ?? []].flat(),
		),
	];
}

/** Requests without an answer; whether that is allowed depends on the fault. */
export function unanswered({ asked, answers }: History): readonly Asked[] {
	const ended = new Set(answers.filter(({ ending }) => ending).map(({ id }) => id));
	return asked.filter(({ id }) => !ended.has(id));
}

function outcome({ result, failure }: Answer): string {
	return JSON.stringify([result, failure]);
}

/** What is wrong with an answer, if anything: Nova sets the instance to ERROR for any failure that it does not know. */
function classOf(answer: Answer, { expected }: Asked): string | undefined {
	const { result, failure } = answer;
	const shown = () => outcome(answer).slice(0, MAX_SHOWN);
	if (failure !== null) {
		if (!isAllowedFailure(failure)) return `a failure of a class that Nova does not expect: ${shown()}`;
		return expected?.allowed && isCertain(failure) ? `refused, but the engine allows it: ${shown()}` : undefined;
	}
	if (expected === undefined) return undefined;
	const decision: unknown = result;
	// Nova's own method answers null when the migration may go on.
	if (decision === null) return expected.allowed ? undefined : `allowed, but the engine refuses it`;
	if (typeof decision !== "object" || !("verdict" in decision) || !("allowed" in decision)) {
		return `neither a decision nor null: ${shown()}`;
	}
	if (decision.allowed === true && !expected.allowed) return `allowed, but the engine refuses it: ${shown()}`;
	if (decision.verdict === "unknown" || decision.verdict === expected.verdict) return undefined;
	return `${String(decision.verdict)}, but the engine says ${expected.verdict}: ${shown()}`;
}

const DISPATCHER = ["NoSuchMethod", "UnsupportedVersion"];
const BUILTINS = ["TypeError", "ValueError"];

function isAllowedFailure(text: string): boolean {
	const failure: unknown = JSON.parse(text);
	if (typeof failure !== "object" || failure === null) return false;
	const { class: name, module, message, tb, args, kwargs } = failure as Readonly<Record<string, unknown>>;
	const isWellFormed =
		typeof message === "string" &&
		Array.isArray(tb) &&
		Array.isArray(args) &&
		typeof kwargs === "object" &&
		kwargs !== null;
	if (!isWellFormed) return false;
	if (module === "nova.exception") return name === "MigrationPreCheckError" && "reason" in kwargs;
	if (module === "oslo_messaging.rpc.dispatcher") return DISPATCHER.includes(String(name));
	return module === "builtins" && BUILTINS.includes(String(name));
}

/** A refusal that is not for want of an agent's word. */
function isCertain(failure: string): boolean {
	return !/the agent of|no agent is configured|check failed/.test(failure);
}

/** A server that could not be reached, or could not answer, has its time from the end of that fault. */
function late({ at }: Answer, { sentAt, budget }: Asked, { faults }: History): string | undefined {
	const ends = faults.filter(({ from, to }) => from <= at && to >= sentAt).map(({ to }) => to);
	const since = Math.max(sentAt, ...ends);
	const took = at - since;
	return took <= budget + GRACE_MS ? undefined : `answered after ${Math.round(took)} ms, budget ${budget} ms`;
}
