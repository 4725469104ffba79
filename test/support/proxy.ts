import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** What lies between a client and a broker, and may be cut. Ends with the running test. */
export interface TestProxy {
	readonly port: number;
	/** Resets every connection; new ones are let through. */
	cut(): void;
	/** Resets every connection, and lets none through any more. */
	shut(): void;
}

/** `resetAfter`: the first connections, one for each number, are reset after so many frames from the broker. */
export async function startProxy(target: number, resetAfter: readonly number[] = []): Promise<TestProxy> {
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
		forwardFrames(broker, client, resetAfter[accepted++] ?? Number.POSITIVE_INFINITY, reset);
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
	};
}

/** A frame is a type, a channel, a size, so many bytes and an end mark. */
function forwardFrames(from: Socket, to: Socket, limit: number, reset: () => void): void {
	let rest = Buffer.alloc(0);
	let frames = 0;
	from.on("data", (chunk: Buffer) => {
		rest = Buffer.concat([rest, chunk]);
		while (rest.length >= 7 && rest.length >= rest.readUInt32BE(3) + 8) {
			const length = rest.readUInt32BE(3) + 8;
			to.write(rest.subarray(0, length));
			rest = rest.subarray(length);
			if (++frames === limit) {
				setImmediate(reset);
				return;
			}
		}
	});
}
