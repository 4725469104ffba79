import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect } from "vitest";
import { row } from "../faults/rows.ts";
import { populatePci, temporaryHost } from "../support/sysfs.ts";
import { AgentProcess } from "./agent-process.ts";
import { readReplies } from "./replies.ts";
import { callsOf, opensOf } from "./trace.ts";

/** `npm run test:fuzz` asks for a million. */
const RUNS = Number(process.env["FUZZ_RUNS"] ?? 100_000);
const TIMEOUT = 3_600_000;
/** That ask at once, one request after the other: fewer than the agent answers at once. */
const CLIENTS = 16;
/** From one address, which is fewer than the agent answers in a second. */
const PER_ADDRESS = 400;

const UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
const VF = "0000:3b:10.0";
const PARTS = [
	...[
		"..",
		".",
		"...",
		"%2e%2e",
		"%252e",
		"/",
		"//",
		"%2f",
		"%5c",
		"\\",
		"%00",
		"%0a",
		"~root",
		"*",
		"?",
		"#",
		";",
		"|",
		"$IFS",
	],
	...[
		"etc",
		"passwd",
		"proc",
		"self",
		"environ",
		"dev",
		"sys",
		"devices",
		"software_version",
		"snapshot",
		"v1",
		"file:",
		"@",
		":",
	],
	...[
		UUID,
		UUID.toUpperCase(),
		UUID.slice(0, -1),
		VF,
		"vdpa0",
		"nvidia-558",
		"__proto__",
		"constructor",
		"x".repeat(300),
	],
];
const FORMS = [
	(id: string) => `/v1/instances/${id}/devices`,
	(id: string) => `/v1/instances/${id}`,
	(id: string) => `/v1/${id}`,
	(id: string) => `/${id}`,
];

/** The same numbers in every run (xorshift): below `limit`. */
function* numbers(): Generator<number, never, number> {
	let state = 0x2f6e2b1;
	let limit = yield 0;
	for (;;) {
		state ^= state << 13;
		state ^= state >>> 17;
		state ^= state << 5;
		limit = yield (state >>> 0) % limit;
	}
}
const random = numbers();
random.next();
const below = (limit: number) => random.next(limit).value;
const oneOf = <T>(all: readonly T[]): T => all[below(all.length)] as T;

function path(): string {
	const id = Array.from({ length: 1 + below(6) }, () => oneOf(PARTS)).join("");
	// Most are ids; the rest of the path is no way either.
	return below(4) > 0 ? `/v1/instances/${id}/devices` : oneOf(FORMS)(id);
}

/** The next client, at an address of its own. */
function addresses(): () => string {
	let number = 256;
	return () => {
		number++;
		return `127.1.${number >> 8}.${number & 255}`;
	};
}

row(
	"SEC-31",
	`${RUNS.toLocaleString("en")} ids that are paths, in requests`,
	"0 files opened",
	async (measure) => {
		const host = temporaryHost();
		populatePci(host.sysfs, { address: VF, driver: "mlx5_vfio_pci" });
		const agent = await AgentProcess.start(host, 3_600);
		const next = addresses();
		const statuses: Record<string, number> = {};
		let left = RUNS;
		const started = performance.now();

		const ask = async (socket: Socket) => {
			const answered = new Promise<void>((resolve, reject) => {
				socket.removeAllListeners("data");
				socket.once("close", () => reject(new Error("the agent has closed a connection")));
				socket.on(
					"data",
					readReplies((status) => {
						statuses[status] = (statuses[status] ?? 0) + 1;
						resolve();
					}),
				);
			});
			socket.write(`GET ${path()} HTTP/1.1\r\nHost: cmp-01\r\n\r\n`);
			await answered;
			socket.removeAllListeners("close");
		};
		const client = async () => {
			while (left > 0) {
				const socket = connect({ host: "127.0.0.1", port: agent.port, localAddress: next() });
				await once(socket, "connect");
				for (let sent = 0; sent < PER_ADDRESS && left > 0; sent++) {
					left--;
					await ask(socket);
				}
				socket.destroy();
			}
		};
		const lines = await callsOf(agent, "%file", async () => {
			await Promise.all(Array.from({ length: CLIENTS }, client));
			// Which opens /proc/self: the trace sees that.
			process.kill(agent.pid, "SIGUSR2");
			await expect.poll(() => agent.log()).toContain("state report");
		});
		const opened = opensOf(lines);
		const others = opened.filter((line) => !line.includes('"/proc/self/'));
		const took = (performance.now() - started) / 1000;
		measure(`${others.length} opened, answers ${JSON.stringify(statuses)}, in ${took.toFixed(0)} s`);
		expect(others).toEqual([]);
		expect(opened.length).toBeGreaterThan(0);
		expect(Object.values(statuses).reduce((sum, count) => sum + count, 0)).toBe(RUNS);
		// A uuid is an id, and so answered: nothing with it runs here.
		expect(Object.keys(statuses)).toEqual(["200", "400", "404"]);
	},
	TIMEOUT,
);
