import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What lies between a client and a broker, and may be cut. Ends with the running test. */
export interface TestProxy {
	readonly port: number;
	/** Resets every connection; new ones are let through. */
	cut(): void;
	/** Resets every connection, and lets none through any more, until `mend`. */
	shut(): void;
	mend(): void;
}

/**
 * `resetAfter`: the first connections, one for each number, are reset after so many frames from the broker. `onFrame` is
 * told of each frame from the broker: of which connection, and which of its frames, both counted from 1. What it returns follows that
 * frame in the same segment.
 */
export async function startProxy(
	target: number,
	resetAfter: readonly number[] = [],
	onFrame: (connection: number, frame: number) => Buffer | undefined = () => undefined,
): Promise<TestProxy> {
	const sockets = new Set<Socket>();
	let open = true;
	let accepted = 0;
	const server = createServer((client) => {
		const broker = connect(target, "127.0.0.1");
		const reset = () => {
			client.resetAndDestroy();
			broker.destroy();
		};
		for (const socket of [client, broker]) {
			sockets.add(socket);
			socket.on("error", reset);
			socket.on("close", () => {
				sockets.delete(socket);
				reset();
			});
		}
		if (!open) return reset();
		client.pipe(broker);
		const limit = resetAfter[accepted++] ?? Number.POSITIVE_INFINITY;
		const connection = accepted;
		eachFrame(broker, (bytes, frame) => {
			const more = onFrame(connection, frame);
			client.write(more ? Buffer.concat([bytes, more]) : bytes);
			if (frame === limit) setImmediate(reset);
			return frame < limit;
		});
	}).listen(0, "127.0.0.1");
	await once(server, "listening");
	const address = server.address();
	if (address === null || typeof address === "string") throw new Error("no port");
	const cut = () => {
		for (const socket of sockets) socket.resetAndDestroy();
	};
	onTestFinished(() => {
		cut();
		server.close();
	});
	return {
		port: address.port,
		cut,
		shut() {
			open = false;
			cut();
		},
		mend() {
			open = true;
		},
	};
}

/** A frame is a type, a channel, a size, so many bytes and an end mark; `take` tells whether there may be another one. */
function eachFrame(from: Socket, take: (bytes: Buffer, frame: number) => boolean): void {
	let rest = Buffer.alloc(0);
	let frames = 0;
	from.on("data", (chunk: Buffer) => {
		rest = Buffer.concat([rest, chunk]);
		while (rest.length >= 7 && rest.length >= rest.readUInt32BE(3) + 8) {
			const length = rest.readUInt32BE(3) + 8;
			const bytes = rest.subarray(0, length);
			rest = rest.subarray(length);
			if (!take(bytes, ++frames)) return;
		}
	});
}
