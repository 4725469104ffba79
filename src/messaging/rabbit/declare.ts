import type { Log } from "../log.ts";
import { explain } from "./faults.ts";
import type { Channel, ChannelModel } from "./rabbit.ts";
import type { Declaration, Queue } from "./topology.ts";

/** Between looks at whether what has other arguments than ours was made anew as ours is: each is an error in RabbitMQ's log. */
export const LOOK_AGAIN_MS = 300_000;

interface Other {
	readonly what: string;
	readonly why: "inequivalent" | "forbidden";
	/** On the clock of `performance.now()`. */
	readonly seenAt: number;
}

/** What somebody else has declared, by our own declaration of it as JSON. */
export type Foreign = Map<string, Other>;

/**
 * Declares in order, on a channel that is then open. What is there already with other arguments is used as it is, and so is an
 * exchange that this user may not declare: `foreign` keeps what that is, because RabbitMQ logs every refusal as an error, and we the first.
 */
export async function declare(
	connection: ChannelModel,
	topology: readonly Declaration[],
	log: Log,
	foreign: Foreign = new Map(),
): Promise<Channel> {
	let channel = await openChannel(connection);
	for (const step of topology) {
		const key = JSON.stringify(step);
		const known = foreign.get(key);
		if (known && !isDue(known)) {
			if (await isThere(channel, step)) continue;
			// Whoever had made it has deleted it.
			channel = await openChannel(connection);
			foreign.delete(key);
		}
		try {
			await assert(channel, step);
			foreign.delete(key);
		} catch (error) {
			if (step.kind === "queue" && isUnreachable(error)) {
				channel = await replace(connection, step, error);
				log.warning(`${explain(error).text}; queue ${step.name} was deleted and declared again`);
				continue;
			}
			const isForbidden = step.kind === "exchange" && isRefused(error);
			if (!isForbidden && !isInequivalent(error)) throw error;
			channel = await openChannel(connection);
			await check(channel, step).catch((absent: unknown) => {
				throw isForbidden ? absent : error;
			});
			const what = "name" in step ? `${step.kind} ${step.name}` : step.kind;
			const isTold = foreign.has(key);
			foreign.set(key, { what, why: isForbidden ? "forbidden" : "inequivalent", seenAt: performance.now() });
			if (!isForbidden && !isTold) log.error(`${explain(error).text}; using it as it is`);
		}
	}
	return channel;
}

/** The same where nothing is done on the channel. */
export async function declareOnly(...args: Parameters<typeof declare>): Promise<void> {
	const channel = await declare(...args);
	// A connection that ends meanwhile ends the channel too, and amqplib's promise of `close` is never kept.
	const closed = new Promise((resolve) => channel.once("close", resolve));
	await Promise.race([channel.close(), closed]);
}

/** That a user may not declare an exchange is as it should be, and stays so. */
function isDue({ why, seenAt }: Other): boolean {
	return why === "inequivalent" && performance.now() - seenAt >= LOOK_AGAIN_MS;
}

/**
 * Deletes a queue that is there and cannot be reached, as Python does (Consumer.declare of oslo_messaging/_drivers/impl_rabbit.py). Not
 * one that is in use: another service has done it meanwhile.
 */
async function replace(connection: ChannelModel, queue: Queue, why: unknown): Promise<Channel> {
	const channel = await openChannel(connection);
	await channel.deleteQueue(queue.name, { ifUnused: true }).catch(() => {
		throw why;
	});
	await assert(channel, queue);
	return channel;
}

/** The channel is closed when it is not. */
async function isThere(channel: Channel, step: Declaration): Promise<boolean> {
	try {
		await check(channel, step);
		return true;
	} catch (error) {
		if (isNotFound(error)) return false;
		throw error;
	}
}

async function openChannel(connection: ChannelModel): Promise<Channel> {
	const channel = await connection.createChannel();
	// The call that is under way fails with it.
	channel.on("error", () => undefined);
	return channel;
}

async function assert(channel: Channel, step: Declaration): Promise<void> {
	if (step.kind === "exchange") {
		const { durable, autoDelete } = step;
		await channel.assertExchange(step.name, step.type, { durable, autoDelete });
	} else if (step.kind === "existing exchange") {
		await channel.checkExchange(step.name);
	} else if (step.kind === "queue") {
		const { durable, exclusive = false, autoDelete, arguments: args } = step;
		await channel.assertQueue(step.name, { durable, exclusive, autoDelete, arguments: args });
	} else if (step.kind === "binding") {
		await channel.bindQueue(step.queue, step.exchange, step.key);
	}
}

async function check(channel: Channel, step: Declaration): Promise<void> {
	if (step.kind === "exchange") await channel.checkExchange(step.name);
	else if (step.kind === "queue") await channel.checkQueue(step.name);
}

function isNotFound(error: unknown): boolean {
	return / \(NOT-FOUND\) /.test(String(error));
}

/** Unlike "no queue 'x' in vhost '/'", which is of one that somebody is making or deleting just now. */
function isUnreachable(error: unknown): boolean {
	return isNotFound(error) && !String(error).includes(" - no queue ");
}

/** This user may not do it. */
export function isRefused(error: unknown): boolean {
	return / \(ACCESS-REFUSED\) /.test(String(error));
}

/** Which says nothing of what is there: this user may not declare it, or no channel is left for that. */
export function isDenied(error: unknown): boolean {
	return isRefused(error) || /No channels left/.test(String(error));
}

/** The broker has closed the connection because of it, unlike where `channel_max` is reached. */
export function hasTooManyChannels(error: unknown): boolean {
	return / number of channels opened /.test(String(error));
}

/** An exchange of another type would take our messages elsewhere: that one is not for us. */
function isInequivalent(error: unknown): boolean {
	return /\(PRECONDITION-FAILED\).* inequivalent arg '(?!type')/.test(String(error));
}
