import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";

/**
 * A client with nothing else to do asks the agent at `url` for its snapshot; prints milliseconds of each answer as JSON. It does as
 * little as a client can: one buffer for all that comes, or what its own collector does would count as the agent's. Over https it
 * shows a certificate, and the name is that of the agent.
 */
const [url = "", count = "0", servername = "", ...files] = process.argv.slice(2);

const { protocol, hostname, port } = new URL(url);
const END_OF_HEAD = "\r\n\r\n";

let head = "";
/** Bytes of the body that are still to come. */
let left = 0;
let answered: (etag: string) => void = () => undefined;

const to = {
	host: hostname,
	port: Number(port),
	noDelay: true,
	onread: { buffer: Buffer.alloc(65_536), callback: take },
};
const [ca, cert, key] = files.map((file) => readFileSync(file));
const socket = protocol === "https:" ? connectTls({ ...to, servername, ca, cert, key }) : connect(to);

function take(bytes: number, buffer: Uint8Array): boolean {
	if (left > 0) left -= bytes;
	else {
		head += Buffer.from(buffer.buffer, buffer.byteOffset, bytes).toString("latin1");
		const end = head.indexOf(END_OF_HEAD);
		if (end < 0) return true;
		const [, length = "0"] = /^content-length: (\d+)/im.exec(head.slice(0, end)) ?? [];
		left = Number(length) - (head.length - end - END_OF_HEAD.length);
	}
	if (left > 0) return true;
	const [, etag = ""] = /^etag: (.*)$/im.exec(head) ?? [];
	head = "";
	answered(etag.trim());
	return true;
}

/** Until the body has come. */
function poll(header = ""): Promise<{ readonly ms: number; readonly etag: string }> {
	const started = performance.now();
	return new Promise((resolve, reject) => {
		socket.once("error", reject);
		answered = (etag) => {
			socket.off("error", reject);
			resolve({ ms: performance.now() - started, etag });
		};
		socket.write(`GET /v1/snapshot HTTP/1.1\r\nHost: ${hostname}\r\n${header}\r\n`);
	});
}

const full: number[] = [];
const unchanged: number[] = [];
const { etag } = await poll();
for (let number = 0; number < Number(count); number++) {
	full.push((await poll()).ms);
	unchanged.push((await poll(`If-None-Match: ${etag}\r\n`)).ms);
	// Nobody is answered more than 500 times in a second.
	await sleep(5);
}
socket.destroy();
process.stdout.write(JSON.stringify({ full, unchanged }));
