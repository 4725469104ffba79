import { connect } from "node:net";
import { readReplies } from "./replies.ts";

/** As many connections as a careless client may have, each of which asks again as soon as it is answered. */
const CONNECTIONS = 500;
const REQUEST = "GET /v1/snapshot HTTP/1.1\r\nHost: cmp-01\r\n\r\n";

const port = Number(process.argv[2]);
const counts: Record<string, number> = {};
let open = 0;

for (let number = 0; number < CONNECTIONS; number++) {
	const socket = connect(port, "127.0.0.1", () => {
		socket.write(REQUEST);
		if (++open === CONNECTIONS) process.stdout.write("flooding\n");
	});
	socket.on(
		"data",
		readReplies((status) => {
			counts[status] = (counts[status] ?? 0) + 1;
			socket.write(REQUEST);
		}),
	);
	socket.on("error", () => {
		counts["broken"] = (counts["broken"] ?? 0) + 1;
	});
}

process.stdin.on("end", () => {
	process.stdout.write(JSON.stringify(counts), () => process.exit());
});
process.stdin.resume();
