import { RpcClient } from "../../src/messaging/client.ts";
import type { Method } from "../../src/messaging/endpoint.ts";
import { toJson } from "../../src/messaging/json.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { newId, openEnvelope } from "../../src/messaging/message.ts";
import { RpcServer, type RpcServerOptions } from "../../src/messaging/server.ts";
import { type ServerTarget, serverKey } from "../../src/messaging/target.ts";
import type { Consumer, Delivery } from "../../src/messaging/transport.ts";
import { recordingLog } from "../support/log.ts";
import { Inbox } from "./inbox.ts";

export const TARGET: ServerTarget = { exchange: "nova", topic: "compute", server: "host-a" };
const TO_TOPIC = { kind: "topic", exchange: "nova", key: "compute" } as const;
export const REQUEST_ID = "request_id";

export type Handler = Method<string>["handler"];
export type Fields = Readonly<Record<string, unknown>>;

/** A transport in memory on which a test can make deliveries that only a broken connection causes. */
class ScriptedTransport extends MemoryTransport {
	deliver: (delivery: Delivery) => void = () => undefined;
	/** Queues to which replies were sent. */
	readonly repliedTo: string[] = [];

	override async listen(target: ServerTarget, prefetch: number, to: (delivery: Delivery) => void): Promise<Consumer> {
		this.deliver = to;
		return super.listen(target, prefetch, to);
	}

	override async publish(...[to, body, options]: Parameters<MemoryTransport["publish"]>) {
		if (to.kind === "reply") this.repliedTo.push(to.queue);
		return super.publish(to, body, options);
	}
}

/** The real server, with `handler` as its method `m`, and callers: the real client, or raw requests and their replies. */
export async function serve(
	handler: Handler,
	options: Partial<RpcServerOptions<string>> & Pick<Method<string>, "onTimeUp"> = {},
) {
	const transport = new ScriptedTransport();
	const { onTimeUp, ...limits } = options;
	const method: Method<string> = { required: [], optional: ["x"], handler, ...(onTimeUp && { onTimeUp }) };
	const { log, lines } = recordingLog();
	const server = new RpcServer<string>({
		transport,
		targets: [TARGET],
		endpoints: [{ namespace: null, version: "6.0", methods: new Map([["m", method]]) }],
		deserializeContext: (raw) => {
			const id = raw.get(REQUEST_ID) ?? "none";
			if (typeof id !== "string") throw new TypeError("s3cr3t context");
			return id;
		},
		log,
		maxInFlight: 64,
		maxCallTime: 15,
		...limits,
	});
	await server.start();
	const client = new RpcClient(transport);
	const call = (args: Fields = {}, timeout = 10) => client.call({ ...TARGET, version: "6.0" }, "m", args, { timeout });
	const send = (body: string, expiration?: number) =>
		transport.publish(TO_TOPIC, Buffer.from(body), { timeout: 1_000, ...(expiration !== undefined && { expiration }) });

	const queue = `reply_${newId()}`;
	const inbox = new Inbox();
	await transport.listenForReplies(queue, inbox.ack);
	/** A raw call of `m` that is replied to in `replies`. */
	const request = (fields: Fields = {}): string =>
		toJson({ method: "m", version: "6.0", _msg_id: "id", _reply_q: queue, _timeout: null, ...fields });
	const replies = () => inbox.deliveries.map((delivery) => openEnvelope(delivery));
	const reply = async (index: number) => {
		await inbox.at(index);
		return replies()[index] ?? {};
	};
	return { transport, server, lines, client, call, send, request, replies, reply, queue };
}

/** A delivery as a test wants it, with the record of how it was ended. */
export function scripted(body: string, delivery: Partial<Delivery> = {}) {
	const ended: string[] = [];
	const scriptedDelivery: Delivery = {
		routingKey: serverKey(TARGET),
		body: Buffer.from(body),
		contentType: "application/json",
		compression: undefined,
		traceparent: undefined,
		expiration: undefined,
		redelivered: false,
		ack: () => ended.push("ack") > 0,
		reject: () => void ended.push("reject"),
		requeue: () => void ended.push("requeue"),
		...delivery,
	};
	return { delivery: scriptedDelivery, ended };
}
