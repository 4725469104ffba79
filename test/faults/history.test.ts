import { expect, test } from "vitest";
import { type Answer, type Asked, type History, unanswered, violations } from "./history.ts";

const ACCEPT = { verdict: "accept", allowed: true };
const REJECT = { verdict: "reject", allowed: false };
const UNKNOWN = { verdict: "unknown", allowed: false };
const failure = (name: string, module: string, more: object = {}) =>
	JSON.stringify({ class: name, module, message: "m", tb: [], args: [], kwargs: { reason: "m" }, ...more });

const asked: Asked = { id: "1", sentAt: 0, budget: 5_000, expected: REJECT };
const answer = (fields: Partial<Answer> = {}): Answer => ({
	id: "1",
	at: 10,
	result: REJECT,
	failure: null,
	ending: true,
	...fields,
});
const history = (answers: readonly Answer[], more: Partial<History> = {}): History => ({
	asked: [asked],
	answers,
	faults: [],
	text: "what was logged",
	secrets: ["canary"],
	...more,
});

/** what happened, the history, whether a promise is broken */
const HISTORIES: readonly (readonly [what: string, history: History, broken: RegExp | undefined])[] = [
	["one answer, the engine's", history([answer()]), undefined],
	["no answer", history([]), undefined],
	["the same answer twice", history([answer(), answer({ at: 20 })]), undefined],
	["heartbeats, then an answer", history([answer({ ending: false, result: null }), answer({ at: 20 })]), undefined],
	["a heartbeat after the answer", history([answer(), answer({ at: 20, ending: false, result: null })]), /heartbeat/],
	["two answers", history([answer(), answer({ result: UNKNOWN })]), /differ/],
	["an answer to nobody", history([answer({ id: "2" })]), /nobody asked/],
	["a wrong accept", history([answer({ result: ACCEPT })]), /allowed, but the engine refuses/],
	["a wrong null", history([answer({ result: null })]), /allowed, but the engine refuses/],
	[
		"a wrong reject",
		history([answer()], { asked: [{ ...asked, expected: ACCEPT }] }),
		/reject, but the engine says accept/,
	],
	["unknown, where the engine knows", history([answer({ result: UNKNOWN })]), undefined],
	["something else", history([answer({ result: 7 })]), /neither a decision/],
	["Nova's own error", history([answer({ failure: failure("MigrationPreCheckError", "nova.exception") })]), undefined],
	["another error of Nova's", history([answer({ failure: failure("InstanceNotFound", "nova.exception") })]), /class/],
	[
		"the dispatcher's",
		history([answer({ failure: failure("NoSuchMethod", "oslo_messaging.rpc.dispatcher") })]),
		undefined,
	],
	["a bad argument", history([answer({ failure: failure("TypeError", "builtins") })]), undefined],
	["one of ours", history([answer({ failure: failure("InternalError", "novacompat") })]), /class/],
	["a traceback of null", history([answer({ failure: failure("TypeError", "builtins", { tb: null }) })]), /class/],
	["a late answer", history([answer({ at: 6_500 })]), /after 6500 ms/],
	["an answer after a fault", history([answer({ at: 26_500 })], { faults: [{ from: 10, to: 22_000 }] }), undefined],
	["late after a fault", history([answer({ at: 29_500 })], { faults: [{ from: 10, to: 22_000 }] }), /after 7500 ms/],
	["a secret in a log", history([answer()], { text: "token canary" }), /secret/],
];

test.each(HISTORIES)("%s", (_what, recorded, broken) => {
	const found = violations(recorded);
	if (broken === undefined) expect(found).toEqual([]);
	else expect(found).toEqual([expect.stringMatching(broken)]);
});

test("a heartbeat is no answer", () => {
	expect(unanswered(history([answer({ ending: false })]))).toEqual([asked]);
	expect(unanswered(history([answer()]))).toEqual([]);
});
