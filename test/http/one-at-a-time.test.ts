import { once } from "node:events";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { startHttpServer } from "../../src/http/server.ts";
import { recordingLog } from "../support/log.ts";

const REQUEST = "GET / HTTP/1.1\r\nHost: cmp-01\r\n\r\n";
/** As many as node:http reads at once. */
const READ_AT_ONCE = Math.floor((64 * 1024) / REQUEST.length);

async function server() {
	let asked = 0;
	const { url, close } = await startHttpServer({
		listen: { address: "127.0.0.1", port: 0 },
		answer: () => {
			asked++;
			return { status: 200, type: "text/plain", body: "OK" };
		},
		log: recordingLog().log,
	});
	onTestFinished(close);
	const socket = connect(Number(new URL(url).port), "127.0.0.1").on("error", () => undefined);
	onTestFinished(() => void socket.destroy());
	return { socket, asked: () => asked };
}

test.each([3, READ_AT_ONCE])(
	"%i requests at once end the connection, and no more than two are looked at",
	async (count) => {
		const { socket, asked } = await server();
		socket.write(REQUEST.repeat(count));
		socket.resume();
		await once(socket, "close");
		expect(asked()).toBeLessThanOrEqual(2);
	},
);

test("who waits for each answer is answered over one connection", async () => {
	const { socket, asked } = await server();
	for (const number of [1, 2, 3]) {
		socket.write(REQUEST);
		const [answer] = (await once(socket, "data")) as [Buffer];
		expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
		expect(asked()).toBe(number);
	}
});

test.each([
	"GET / HTTP/1.1\r\nHost: cmp-01\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n\r\n",
	"CONNECT cmp-02:443 HTTP/1.1\r\nHost: cmp-02:443\r\nConnection: close\r\n\r\n",
])("another protocol is nothing to this server: %.20s", async (request) => {
	const { socket } = await server();
	socket.write(request);
	expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});
