import { expect, test } from "vitest";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import type { RemoteError } from "../../src/messaging/errors.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { RpcServer } from "../../src/messaging/server.ts";
import { novaEndpoints } from "../../src/nova/methods.ts";
import type { UnmadeCheck } from "../../src/precheck.ts";
import { recordingLog } from "../support/log.ts";

const TEXT = "the check was not finished in the time of the call";
const TARGET = { exchange: "nova", topic: "migration_compat" };

/** The line of a decision tells what it is about, as that of any other. */
const LINE = / WARNING .* \[instance: u\] live migration a -> b: unknown .*agent\.timeout: /;

/** Calls a method of a service whose checks never end and ignore their signal. */
async function call(
	method: string,
	version: string,
	args: Record<string, unknown>,
	{ policy = DEFAULT_POLICY, said = LINE }: { readonly policy?: Policy; readonly said?: RegExp } = {},
) {
	const transport = new MemoryTransport();
	const { log, lines } = recordingLog();
	const kept: UnmadeCheck[] = [];
	const never = () => new Promise<never>(() => undefined);
	const server = new RpcServer({
		transport,
		targets: [{ ...TARGET, server: "novacompat-test" }],
		endpoints: novaEndpoints({
			precheck: never,
			rankDestinations: never,
			policy: () => policy,
			log,
			unchecked: (unmade) => kept.push(unmade),
		}),
		deserializeContext: () => ({}),
		log,
		maxInFlight: 1,
		maxCallTime: 15,
	});
	await server.start();
	const answer = new RpcClient(transport).call({ ...TARGET, version }, method, args, { timeout: 2 });
	const outcome = await answer.catch((error: RemoteError) => error);
	// What the caller is told can be found in the log.
	expect(lines.filter((line) => line.includes("live migration"))).toEqual([expect.stringMatching(said)]);
	// So is it in the journal and on the page of metrics; rankings are in neither.
	const codes = kept.map(({ decision }) => decision.reasons.map(({ code }) => code));
	expect(codes).toEqual(method === "rank_destinations" ? [] : [[/; ([a-z.]+): /.exec(lines.join(""))?.[1]]]);
	for (const { request } of kept) expect(request).toMatchObject({ instance_uuid: "u", source_host: "a" });
	return outcome;
}

const instance = {
	"nova_object.name": "Instance",
	"nova_object.version": "2.7",
	"nova_object.data": { uuid: "u", host: "a" },
};
const migration = {
	"nova_object.name": "Migration",
	"nova_object.version": "1.7",
	"nova_object.data": { dest_compute: "b" },
};
const accepting: Policy = { ...DEFAULT_POLICY, unknown: { "agent.timeout": "accept" } };

test("row 20: Nova's own check is refused as a pre-check, so that Nova tries the next host", async () => {
	expect(await call("check_can_live_migrate_destination", "6.0", { instance, migration })).toMatchObject({
		excType: "MigrationPreCheckError",
		module: "nova.exception",
		value: expect.stringContaining(`Migration pre-check error: ${TEXT}`),
		kwargs: { code: 500, reason: expect.stringContaining(TEXT) },
	});
});

test("row 20: a policy that accepts silent agents accepts this too", async () => {
	expect(
		await call("check_can_live_migrate_destination", "6.0", { instance, migration }, { policy: accepting }),
	).toBeNull();
});

test("row 20: a request that cannot be read is not accepted as one that there was no time for", async () => {
	const said = / WARNING .* \[instance: u\] live migration: unknown .*request\.invalid: the destination is not named/;
	const args = { instance, migration: null };
	expect(await call("check_can_live_migrate_destination", "6.0", args, { policy: accepting, said })).toMatchObject({
		excType: "MigrationPreCheckError",
		kwargs: { reason: expect.stringContaining("the destination is not named") },
	});
});

test("row 20: our own check is unknown", async () => {
	const request = { instance_uuid: "u", source_host: "a", dest_host: "b" };
	expect(await call("check_live_migration", "1.0", { request })).toMatchObject({
		verdict: "unknown",
		allowed: false,
		reasons: [{ code: "agent.timeout", message: TEXT }],
	});
});

test("row 20: of a ranking every host is unknown, each once", async () => {
	const request = { instance_uuid: "u", source_host: "a", dest_hosts: ["c", "b", "c"] };
	const said =
		/ WARNING .* \[instance: u\] live migration a -> best of 2: 2 unknown; b first: unknown .*agent\.timeout: /;
	expect(await call("rank_destinations", "1.1", { request }, { said })).toMatchObject({
		hosts: [
			{ host: "b", verdict: "unknown" },
			{ host: "c", verdict: "unknown" },
		],
	});
});
