import type { Server } from "node:https";
import type { Socket } from "node:net";
import { MAX_HANDSHAKES_PER_SECOND, Pace } from "./pace.ts";

/** From the first byte to the last: Node's own limit begins anew with every byte. */
const HANDSHAKE_MS = 5_000;

/** Closes connections: of an address that begins too many, before TLS has heard of them, and what is not secure in time. */
export function limitHandshakes(server: Server, warn: (text: string) => void): void {
	const pace = new Pace(MAX_HANDSHAKES_PER_SECOND);
	const begin = server.listeners("connection");
	const underway = new Map<string, NodeJS.Timeout>();
	const end = (peer: string) => {
		clearTimeout(underway.get(peer));
		underway.delete(peer);
	};
	server.removeAllListeners("connection");
	server.on("connection", (socket: Socket) => {
		const { remoteAddress = "" } = socket;
		if (pace.isExceeded(remoteAddress)) {
			socket.destroy();
			return warn(
				`${remoteAddress} began more than ${MAX_HANDSHAKES_PER_SECOND} connections in a second: the rest is closed`,
			);
		}
		const peer = peerOf(socket);
		underway.set(
			peer,
			setTimeout(() => socket.destroy(), HANDSHAKE_MS),
		);
		socket.once("close", () => end(peer));
		for (const one of begin) one.call(server, socket);
	});
	server.on("secureConnection", (socket) => end(peerOf(socket)));
}

/** The same of a connection and of the TLS over it, which has another socket; a client may have one port for several addresses of ours. */
export function peerOf({ remoteAddress, remotePort, localAddress }: Socket): string {
	return `${remoteAddress} ${remotePort} ${localAddress}`;
}
