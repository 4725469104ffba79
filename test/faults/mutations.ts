import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { readRecording } from "../../src/recording/recording.ts";
import { envelope, newId } from "./caller.ts";
import { DESTINATIONS } from "./world.ts";

const FOLDERS = [`${import.meta.dirname}/../recordings`, `${import.meta.dirname}/../../config/samples/recordings`];
const ROUTING = ["method", "version", "namespace"];

/** Calls of Nova's pre-check as it was recorded, with a value or two of them changed: the same seed gives the same ones. */
export function* bodies(count: number, seed: number, replyQueue: string) {
	const messages = FOLDERS.flatMap((folder) =>
		readdirSync(folder).map((file) => readRecording(readFileSync(`${folder}/${file}`, "utf8")).message),
	).filter(({ method }) => method === "check_can_live_migrate_destination");
	const samples = fc.sample(
		fc.tuple(fc.constantFrom(...messages), fc.array(fc.tuple(fc.nat(), VALUES), { minLength: 1, maxLength: 3 })),
		{ numRuns: count, seed },
	);
	for (const [index, [message, changes]] of samples.entries()) {
		const text = changes.reduce((json, [at, value]) => replaced(json, at, value), JSON.stringify(message));
		const msgId = newId();
		const ids = { _msg_id: msgId, _reply_q: replyQueue, _unique_id: newId(), _timeout: null };
		const inner = JSON.stringify({ ...(JSON.parse(text) as object), ...ids });
		yield { key: `compute.${DESTINATIONS[index % DESTINATIONS.length]}`, body: envelope(inner), msgId };
	}
}

/** What Nova never sends, and what it sends elsewhere. */
const VALUES: fc.Arbitrary<unknown> = fc.oneof(
	fc.constantFrom<unknown>(
		null,
		true,
		0,
		-1,
		1e308,
		"",
		"x".repeat(300),
		[],
		{},
		"3.0",
		"99",
		"__proto__",
		"\u0000",
		"\ud800",
	),
	fc.constantFrom<unknown>(
		{ "nova_object.name": "Instance" },
		{ "nova_object.data": 7 },
		[[[[]]]],
		{ __proto__: 1 },
		"../../etc",
	),
	fc.jsonValue({ maxDepth: 3 }),
	fc.string({ unit: "binary", maxLength: 40 }),
);

/** The text with one of its values, wherever it is, replaced by another; what chooses the method stays. */
function replaced(json: string, at: number, value: unknown): string {
	let values = 0;
	JSON.parse(json, (_key, one: unknown) => {
		values++;
		return one;
	});
	const chosen = at % values;
	let seen = 0;
	const changed: unknown = JSON.parse(json, (key, one: unknown) =>
		seen++ === chosen && key !== "" && !ROUTING.includes(key) ? value : one,
	);
	return JSON.stringify(changed);
}
