import { describe, expect, test } from "vitest";
import { declare } from "../../../src/messaging/rabbit/declare.ts";
import type { ChannelModel } from "../../../src/messaging/rabbit/rabbit.ts";
import { recordingLog } from "../../support/log.ts";

const QUEUE = {
	kind: "queue",
	name: "migration_compat",
	durable: false,
	autoDelete: false,
	arguments: {},
	deletedAtStop: false,
} as const;

/** What RabbitMQ 3.10 says a minute after it was asked, when the process of a queue has died too often to be started again. */
const STUCK = notFound(
	"QueueDeclare",
	"failed to perform operation on queue 'migration_compat' in vhost '/' due to timeout",
);
/** Of a durable one: it can be deleted as little. */
const NODE_DOWN = notFound(
	"QueueDelete",
	"home node 'rabbit@a' of durable queue 'migration_compat' in vhost '/' is down or inaccessible",
);

function notFound(operation: string, text: string): Error {
	return new Error(`Operation failed: ${operation}; 404 (NOT-FOUND) with message "NOT_FOUND - ${text}"`);
}

/** While somebody else deletes or makes it: what is there a moment later may be in use. */
const RACE = notFound("QueueDeclare", "no queue 'migration_compat' in vhost '/'");

/** A broker with one queue, which cannot be declared before it is deleted. */
function stuckBroker(canDelete: boolean, why = STUCK) {
	const told: string[] = [];
	let isStuck = true;
	const channel = {
		on: () => undefined,
		async assertQueue(name: string) {
			told.push(`declare ${name}`);
			if (isStuck) throw why;
		},
		async deleteQueue(name: string, { ifUnused = false } = {}) {
			told.push(`delete ${name}${ifUnused ? " if unused" : ""}`);
			if (!canDelete) throw NODE_DOWN;
			isStuck = false;
		},
	};
	return { connection: { createChannel: async () => channel } as unknown as ChannelModel, told };
}

describe("a queue that is there and cannot be reached", () => {
	test("is deleted unless somebody uses it, and declared again", async () => {
		const { connection, told } = stuckBroker(true);
		const { log, lines } = recordingLog();
		await declare(connection, [QUEUE], log);
		expect(told).toEqual(["declare migration_compat", "delete migration_compat if unused", "declare migration_compat"]);
		expect(lines).toEqual([expect.stringMatching(/WARNING .* due to timeout"; queue migration_compat was deleted/)]);
	});

	test("is told as it was when it cannot be deleted either", async () => {
		const { connection } = stuckBroker(false);
		await expect(declare(connection, [QUEUE], recordingLog().log)).rejects.toBe(STUCK);
	});

	test("is left alone when it is only not there yet, or not any more", async () => {
		const { connection, told } = stuckBroker(true, RACE);
		await expect(declare(connection, [QUEUE], recordingLog().log)).rejects.toBe(RACE);
		expect(told).toEqual(["declare migration_compat"]);
	});
});
