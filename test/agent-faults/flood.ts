import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { connect as connectTls } from "node:tls";
import { readReplies } from "./replies.ts";

/**
 * Floods the agent at a port until standard input ends, and prints what came of it, by status: a careless client with 500 connections,
 * each of which asks again as soon as it is answered, over TLS with the files of a client (authority, certificate, key); with
 * `handshakes`, who has no certificate and begins handshakes, 50 at a time; or, with `pipelined`, who sends as much as is read at once over
 * 300 connections, and waits for nothing. Who is cut off comes again.
 */
const [port, how, ...files] = process.argv.slice(2);
const [CONNECTIONS, HANDSHAKES, PIPELINES] = [500, 50, 300];
const REQUEST = "GET /v1/snapshot HTTP/1.1\r\nHost: cmp-01\r\n\r\n";
const PIPELINED = Buffer.from("GET /livez HTTP/1.1\r\nHost:x\r\n\r\n".repeat(1_700));
const PATIENCE_MS = 10_000;

const to = { host: "127.0.0.1", port: Number(port), servername: "cmp-01" };
const counts: Record<string, number> = {};
const count = (what: string) => {
	counts[what] = (counts[what] ?? 0) + 1;
};
let open = 0;
const flooding = () => process.stdout.write("flooding\n");

function ask(): void {
	const [ca, cert, key] = files.map((file) => readFileSync(file));
	const socket = ca ? connectTls({ ...to, ca, cert, key }, begin) : connect(to, begin);
	function begin(): void {
		socket.write(REQUEST);
		if (++open === CONNECTIONS) flooding();
	}
	socket.on(
		"data",
		readReplies((status) => {
			count(status);
			socket.write(REQUEST);
		}),
	);
	socket.on("error", () => count("broken"));
	socket.on("close", ask);
}

/** What a client of TLS says first. The same bytes do for every handshake: who goes away after the answer has no work with them. */
async function firstWords(): Promise<Buffer> {
	const server = createServer().listen(0, "127.0.0.1");
	await once(server, "listening");
	const client = connectTls({ ...to, port: (server.address() as AddressInfo).port }).on("error", () => undefined);
	const [socket] = await once(server, "connection");
	const [words] = (await once(socket, "data")) as [Buffer];
	client.destroy();
	server.close();
	return words;
}

function shakeHands(words: Buffer): void {
	let answered = false;
	const socket = connect(to, () => socket.write(words));
	socket.setTimeout(PATIENCE_MS, () => socket.destroy());
	socket.once("data", () => {
		answered = true;
		socket.destroy();
	});
	socket.on("error", () => undefined);
	socket.on("close", () => {
		count(answered ? "handshakes" : "cut off");
		shakeHands(words);
	});
}

function pipeline(): void {
	const socket = connect(to, () => socket.write(PIPELINED));
	socket.on("data", readReplies(count));
	socket.on("error", () => undefined);
	socket.on("close", () => {
		count("cut off");
		pipeline();
	});
}

if (how === "pipelined") {
	for (let number = 0; number < PIPELINES; number++) pipeline();
	flooding();
} else if (how === "handshakes") {
	const words = await firstWords();
	for (let number = 0; number < HANDSHAKES; number++) shakeHands(words);
	flooding();
} else {
	for (let number = 0; number < CONNECTIONS; number++) ask();
}

process.stdin.on("end", () => {
	process.stdout.write(JSON.stringify(counts), () => process.exit());
});
process.stdin.resume();
