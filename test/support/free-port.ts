import { once } from "node:events";
import { createServer } from "node:net";

/** Linux takes what an outgoing connection or port 0 needs from 32768 on: none below is lost before its server starts, or while it is away. */
const PORTS = { first: 16_384, count: 16_384 };

/** A port on which nothing listens at any address of this machine, nor will unless it asks for this one. */
export async function freePort(): Promise<number> {
	const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
	const server = createServer().listen(port);
	try {
		await once(server, "listening");
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === "EADDRINUSE") return freePort();
		throw error;
	}
	server.close();
	await once(server, "close");
	return port;
}
