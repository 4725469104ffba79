/**
 * Where a message goes, or what a server listens for. Mirrors oslo_messaging/target.py.
 *
 * | role           | exchange  | topic    | namespace | version  | server   | fanout   |
 * |----------------|-----------|----------|-----------|----------|----------|----------|
 * | server         | required  | required |           |          | required |          |
 * | endpoint       |           |          | optional  | optional |          |          |
 * | client, call   | required  | required | optional  | optional | optional | never    |
 * | client, cast   | required  | required | optional  | optional | optional | optional |
 */
export interface ServerTarget {
	/** The topic exchange (`control_exchange`; Nova's is `nova`). */
	readonly exchange: string;
	readonly topic: string;
	readonly server: string;
}

/** Immutable: Python's `prepare(version="1.1")` is `{ ...target, version: "1.1" }` here. */
export interface ClientTarget {
	readonly exchange: string;
	readonly topic: string;
	/** One named server; left out, whichever server of the topic is free. */
	readonly server?: string;
	/** Every server of the topic; casts only. */
	readonly fanout?: boolean;
	readonly namespace?: string;
	/** `major.minor` of the method called. */
	readonly version?: string;
}

/** Queue and routing key of one named server: `<topic>.<server>`. */
export function serverKey({ topic, server }: Pick<ServerTarget, "topic" | "server">): string {
	return `${topic}.${server}`;
}

/** The fanout exchange has no control exchange in its name: it is shared by everything in the virtual host. */
export function fanoutExchange({ topic }: Pick<ServerTarget, "topic">): string {
	return `${topic}_fanout`;
}

/** The routing key of a client's message: `<topic>.<server>`, or the topic for whichever server is free. */
export function routingKey({ topic, server }: Pick<ClientTarget, "topic" | "server">): string {
	return server === undefined ? topic : serverKey({ topic, server });
}

/** Where a message goes, as people write it: `nova/compute.cmp-01`, or `compute_fanout`. */
export function addressText(target: ClientTarget): string {
	return target.fanout ? fanoutExchange(target) : `${target.exchange}/${routingKey(target)}`;
}
