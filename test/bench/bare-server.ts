import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** The least that node:http can do: answers with the bytes of a file, 304 to whoever has an ETag; prints its URL. */
const body = readFileSync(process.argv[2] ?? "");

const server = createServer(({ headers }, response) => {
	const isKnown = headers["if-none-match"] !== undefined;
	response.writeHead(isKnown ? 304 : 200, { ETag: '"bare"', ...(!isKnown && { "Content-Length": body.length }) });
	response.end(isKnown ? undefined : body);
});
server.listen(0, "127.0.0.1", () => {
	process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});
