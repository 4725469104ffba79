import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { REPOSITORY } from "./support/cli.ts";

/** Every pitfall for a foreign implementation of oslo.messaging (oslo-messaging.md 9), and what is right. */
const PITFALLS: readonly (readonly [number, string])[] = [
	[1, "a failure is JSON text, and so is the inner message"],
	[2, "a reply has all five fields"],
	[3, "no heartbeat without a call monitor"],
	[4, "args, version and _unique_id may be missing"],
	[5, "the content type is application/json, exactly"],
	[6, "a message has headers, even without any"],
	[7, "NaN and Infinity are numbers"],
	[8, "integers have any size"],
	[9, "what is acknowledged late is answered once for the caller"],
	[10, "a message that cannot be read is rejected, never requeued"],
	[11, "duplicates are dropped, and few are remembered"],
	[12, "a reply goes to the default exchange, mandatory"],
	[13, "a reply waits for its queue to come back, not for ever"],
	[14, "the names of queues outlive the connection"],
	[15, "declarations have Python's arguments"],
	[16, "with quorum queues the exchange is durable"],
	[17, "the fanout exchange has no control exchange in its name"],
	[18, "the fanout exchange is declared with Python's auto-delete"],
	[19, "versions are numbers: 1.10 is newer than 1.9"],
	[20, "NoSuchMethod goes before UnsupportedVersion"],
	[21, "an empty namespace is not none"],
	[22, "only exposed methods can be called"],
	[23, "the header `compression` is honoured: zlib, not gzip"],
	[24, "transport_url: port 5672 with TLS, credentials of each host, virtual host decoded"],
	[25, "a class outside of nova.exception is a RemoteError for Nova"],
	[26, "a NovaException has its code, and no `message` in kwargs"],
	[27, "a traceback is a list"],
	[28, "no heartbeat after the reply"],
	[29, "a slow method does not hold up others"],
	[30, "a shutdown loses nothing"],
	[31, "a cancelled consumer comes back"],
	[32, "compute-alt is served beside compute"],
	[33, "memory is bounded, however much waits"],
	[34, "latency is not measured with Python's clients of 14.8 to 18.1, which poll"],
	[35, "returned replies are told apart"],
	[36, "_reply_q is not trusted"],
];

/** `P13: ...` or `P13, row 11: ...` at the start of a name, a docstring or of a test's table row. */
const LABELS = /["'`]((?:(?:[PC]\d+|row \d+), )*P\d+(?:, (?:[PC]\d+|rows? [\d-]+))*): /g;

function filesBelow(directory: string, extension: string): readonly string[] {
	return readdirSync(join(REPOSITORY, directory), { recursive: true, encoding: "utf8" })
		.filter((name) => name.endsWith(extension))
		.map((name) => join(directory, name));
}

function labelsOf(file: string): readonly number[] {
	const text = readFileSync(join(REPOSITORY, file), "utf8");
	return [...text.matchAll(LABELS)].flatMap(([, labels = ""]) =>
		[...labels.matchAll(/P(\d+)/g)].map(([, number]) => Number(number)),
	);
}

describe("every pitfall has a test", () => {
	const files = [...filesBelow("test", ".ts"), ...filesBelow("tox-compat/tests", ".py")];
	const covered = new Set(files.flatMap(labelsOf));

	test.each(PITFALLS)("number %i: %s", (number) => expect(covered.has(number)).toBe(true));

	test("and no test has the number of none", () => {
		expect([...covered].filter((number) => !PITFALLS.some(([known]) => known === number))).toEqual([]);
	});
});

test("P34: the bench has no Python client: its load comes from amqplib", () => {
	for (const file of filesBelow("test/bench", ".py")) {
		expect(readFileSync(join(REPOSITORY, file), "utf8")).not.toMatch(/get_rpc_client|RPCClient/);
	}
});
