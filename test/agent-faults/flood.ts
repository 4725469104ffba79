import { connect } from "node:net";

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
	let text = "";
	socket.on("data", (chunk: Buffer) => {
		text += chunk.toString("latin1");
		for (;;) {
			const end = text.indexOf("\r\n\r\n");
			if (end < 0) return;
			const [, length = "0"] = /content-length: (\d+)/i.exec(text.slice(0, end)) ?? [];
			if (text.length < end + 4 + Number(length)) return;
			const status = text.slice(9, 12);
			counts[status] = (counts[status] ?? 0) + 1;
			text = text.slice(end + 4 + Number(length));
			socket.write(REQUEST);
		}
	});
	socket.on("error", () => {
		counts["broken"] = (counts["broken"] ?? 0) + 1;
	});
}

process.stdin.on("end", () => {
	process.stdout.write(JSON.stringify(counts), () => process.exit());
});
process.stdin.resume();
