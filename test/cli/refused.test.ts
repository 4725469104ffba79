import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { novacompatWith } from "../support/cli.ts";
import { GUEST, startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";

let broker: TestBroker;
beforeAll(async () => {
	broker = await startRabbitMq();
});
afterAll(() => broker?.stop());

const RECORDINGS = "config/samples/recordings";
const RECORDING = `${RECORDINGS}/2025.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json`;
const MIGRATION = ["1d778c01-9557-4d25-9de2-46fa7dd38ba8", "cmp-01", "cmp-02"];
const COMMANDS: readonly (readonly string[])[] = [
	["call", "echo"],
	["call", "echo", "--cast"],
	["precheck", ...MIGRATION],
	["where-can-it-go", ...MIGRATION],
	["replay", RECORDING, "--live"],
	["record"],
];

/** Milliseconds, far less than the minute that commands wait for an answer, and `record` for ever. */
const PROMPT = 20_000;

/** So long a label is no name, which the resolver knows by itself: a machine without a name server says EAI_AGAIN of another one. */
const NOBODY = `${"x".repeat(64)}.invalid`;

/** What goes wrong where; trying again would not help. */
const REFUSED: readonly (readonly [what: string, url: (port: number) => string, says: RegExp])[] = [
	[
		"a password",
		(port) => `rabbit://guest:s3cr3t@127.0.0.1:${port}/`,
		/ACCESS_REFUSED.*: check user name and password/,
	],
	[
		"a virtual host",
		(port) => `rabbit://${GUEST}@127.0.0.1:${port}/nova`,
		/vhost nova not found.*: check the virtual host/,
	],
	["TLS", (port) => `rabbit://${GUEST}@127.0.0.1:${port}/?ssl=true`, /this is not a TLS port: check ssl and the port/],
	["a host", (port) => `rabbit://${GUEST}@${NOBODY}:${port}/`, /ENOTFOUND x+\.invalid: check transport_url/],
];

describe("what the broker refuses ends a command at once, with the reason and 75", () => {
	test.each(COMMANDS.map((command) => [command]))("%j", (command) => {
		for (const [, url, says] of REFUSED) {
			const env = { NOVACOMPAT_TRANSPORT_URL: url(broker.port) };
			const { status, stdout, stderr } = novacompatWith({ env, timeout: PROMPT }, ...command);
			expect(stderr).toMatch(says);
			expect(stderr).not.toMatch(/next attempt|s3cr3t/);
			// Standard output has what is no result: the first line of a recording.
			expect([status, stdout.split("\n").length]).toEqual([75, command[0] === "record" ? 2 : 1]);
		}
	});
});

test("what only some brokers refuse is tried again", () => {
	const env = { NOVACOMPAT_TRANSPORT_URL: `rabbit://guest:s3cr3t@127.0.0.1:${broker.port},${GUEST}@127.0.0.1:1/` };
	const { status, stderr } = novacompatWith({ env, timeout: PROMPT }, "call", "echo", "--timeout", "2");
	expect(stderr).toMatch(/ECONNREFUSED/);
	expect(stderr).toMatch(/novacompat: echo of nova\/migration_compat was not sent: no connection in 2 s\n$/);
	expect(status).toBe(75);
});
