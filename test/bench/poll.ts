import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

/** A client with nothing else to do asks the agent at `url` for its snapshot; prints milliseconds of each answer as JSON. */
const [url = "", count = "0"] = process.argv.slice(2);

const connection = new Agent({ keepAlive: true, maxSockets: 1 });

/** Until the body has come. */
function poll(headers: Readonly<Record<string, string>>): Promise<{ readonly ms: number; readonly etag: string }> {
	const started = performance.now();
	return new Promise((resolve, reject) => {
		get(`${url}/v1/snapshot`, { agent: connection, headers }, (response) => {
			response.resume();
			response.on("end", () => resolve({ ms: performance.now() - started, etag: String(response.headers.etag) }));
		}).on("error", reject);
	});
}

const full: number[] = [];
const unchanged: number[] = [];
const { etag } = await poll({});
for (let number = 0; number < Number(count); number++) {
	full.push((await poll({})).ms);
	unchanged.push((await poll({ "If-None-Match": etag })).ms);
	await sleep(1);
}
connection.destroy();
process.stdout.write(JSON.stringify({ full, unchanged }));
