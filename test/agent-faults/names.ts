import { createSocket } from "node:dgram";
import { createServer } from "node:http";
import { createServer as createTcpServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { boundLookups } from "../../src/cli/serve/serve.ts";
import { AgentOptions } from "../../src/snapshot/agent-options.ts";
import { createSnapshots } from "../../src/snapshot/agents.ts";
import type { SnapshotError } from "../../src/snapshot/source.ts";
import { recordingLog } from "../support/log.ts";

/**
 * Runs in a network of its own, whose only name server this is; prints what became of each case as JSON.
 */
const PORT = 9301;
const AGENT = "127.0.0.3";
const FORBIDDEN = "127.0.0.9";

/** What a name is, question by question; the last answer stays. undefined: no answer at all. */
const ZONE: Readonly<Record<string, readonly (readonly string[] | undefined)[]>> = {
	"good.test": [[AGENT]],
	"silent.test": [undefined],
	// An attacker answers well once, and with where he wants to go the next time.
	"rebound.test": [[AGENT], [FORBIDDEN]],
	"both.test": [[FORBIDDEN, AGENT]],
	"many.test": [Array.from({ length: 20 }, (_value, index) => `127.0.1.${index + 1}`)],
	"second.test": [["127.0.1.1", AGENT]],
	"beside.test": [[AGENT]],
};
const TYPE_A = 1;
const NXDOMAIN = 3;

const asked = new Map<string, number>();

function reply(query: Buffer): Buffer | undefined {
	let end = 12;
	const labels: string[] = [];
	for (let length = query[end] ?? 0; length > 0; length = query[end] ?? 0) {
		labels.push(query.toString("latin1", end + 1, end + 1 + length));
		end += 1 + length;
	}
	const name = labels.join(".");
	const isAddress = query.readUInt16BE(end + 1) === TYPE_A;
	const known = name.startsWith("silent.") ? "silent.test" : name;
	const answers = Object.hasOwn(ZONE, known) ? ZONE[known] : undefined;
	const turn = asked.get(name) ?? 0;
	if (isAddress) asked.set(name, turn + 1);
	const found = answers ? answers[Math.min(turn, answers.length - 1)] : [];
	if (found === undefined) return undefined;
	const addresses = isAddress ? found : [];
	const header = Buffer.from(query.subarray(0, 12));
	header.writeUInt16BE(0x8180 | (answers ? 0 : NXDOMAIN), 2);
	header.writeUInt16BE(addresses.length, 6);
	header.writeUInt32BE(0, 8);
	const records = addresses.map((address) =>
		Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split(".").map(Number)]),
	);
	return Buffer.concat([header, query.subarray(12, end + 5), ...records]);
}

const nameServer = createSocket("udp4", (query, { address, port }) => {
	const answer = reply(query);
	if (answer) nameServer.send(answer, port, address);
});
await new Promise<void>((resolve) => nameServer.bind(53, "127.0.0.1", () => resolve()));

const agent = createServer((request, response) => {
	const [name] = String(request.headers.host).split(".");
	const host = name === "127" ? "address" : name;
	const snapshot = { schema_version: "1.0", host, devices: [] };
	const headers = { "Content-Type": "application/json", "Collected-Age-Ms": "0", Connection: "close" };
	response.writeHead(200, headers).end(JSON.stringify(snapshot));
});
let forbidden = 0;
const trap = createTcpServer((socket) => {
	forbidden++;
	socket.destroy();
});
await new Promise<void>((resolve) => agent.listen(PORT, AGENT, () => resolve()));
await new Promise<void>((resolve) => trap.listen(PORT, FORBIDDEN, () => resolve()));

boundLookups();
const options = AgentOptions.parse({
	agents: { address: `http://${AGENT}:${PORT}` },
	agent_url_template: `http://{host}.test:${PORT}`,
	agent_hosts: ["*"],
	agent_networks: ["127.0.0.3/32", "127.0.1.0/24"],
	snapshot_max_age: 0,
});
const snapshots = createSnapshots(options, recordingLog().log);
const ask = async (host: string) => {
	const started = performance.now();
	const result = await snapshots.fetch(host, { signal: new AbortController().signal }).then(
		() => "answer",
		({ code }: SnapshotError) => code,
	);
	return { result, ms: performance.now() - started };
};

const [good, absent, silent] = [await ask("good"), await ask("nxdomain"), await ask("silent")];
const [bound, rebound] = [await ask("rebound"), await ask("rebound")];
const [both, many, second] = [await ask("both"), await ask("many"), await ask("second")];
// The static map needs no name server, whatever becomes of those who do.
const stuck = ["a", "b", "c", "d", "e", "f", "g", "h"].map((name) => ask(`silent.${name}`));
await sleep(100);
const address = await ask("address");
const beside = await ask("beside");
const cases = { good, absent, silent, bound, rebound, both, many, second, address, beside };
process.stdout.write(JSON.stringify({ ...cases, forbidden }));
await Promise.all(stuck);
process.exit();
