import { setTimeout as sleep } from "node:timers/promises";
import { createService } from "../../src/cli/serve/service.ts";
import type { Decision } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { Config } from "../../src/config.ts";
import { createLogger } from "../../src/log/logger.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { freePort } from "../support/free-port.ts";
import type { Children } from "./children.ts";

const INSTANCE = "0e1d9b52-52f6-4a6c-8a1f-4d5f00000001";
const TARGET = { exchange: "nova", topic: "migration_compat", version: "1.1" };
/** Beside this file where it is built; a test runs it from its source. */
const BUILT = import.meta.dirname.includes("/dist/")
	? import.meta.dirname
	: `${import.meta.dirname}/../../dist/test/bench`;

/** The service on a bus in memory, and the agents of many hosts, of which every second one hangs. */
export interface AgentsLoad {
	/**
	 * Milliseconds of each check from one healthy host to another, so many a second whatever became of the ones before: who
	 * waited for an answer before asking again would leave out the worst moments.
	 */
	healthy(seconds: number, perSecond: number): Promise<readonly number[]>;
	/** The same of checks whose destination hangs, asked again and again by so many at once. */
	hanging(seconds: number, callers: number): Promise<readonly number[]>;
	/** Milliseconds of each ranking of all hosts. */
	rankings(seconds: number): Promise<readonly number[]>;
	/** The same check again and again. */
	cached(times: number): Promise<readonly number[]>;
	stop(): Promise<void>;
}

export async function startAgentsLoad(children: Children, count: number): Promise<AgentsLoad> {
	const port = await freePort();
	const command = [process.execPath, `${BUILT}/agent-listeners.js`, String(count), String(port)];
	const listeners = await children.start("agents", command, /ready (\[.*\])\n/);
	const addresses = JSON.parse(listeners.ready) as readonly string[];
	const transport = new MemoryTransport();
	const service = createService({
		config: Config.parse({
			transport_url: "memory://",
			host: "bench",
			agents: Object.fromEntries(addresses.map((address, index) => [`h${index}`, `http://${address}:${port}`])),
			// Those who ask are not what is measured.
			executor_thread_pool_size: 512,
			max_checks_per_second_per_host: 0,
			max_checks_per_second: 0,
		}),
		policy: () => DEFAULT_POLICY,
		transport,
		log: createLogger("bench", false, () => undefined),
	});
	await service.start();
	const client = new RpcClient(transport);
	const hosts = addresses.map((_address, index) => `h${index}`);
	const [well, silent] = [
		hosts.filter((_host, index) => index % 2 === 0),
		hosts.filter((_host, index) => index % 2 === 1),
	];
	const any = (list: readonly string[]) => list[Math.floor(Math.random() * list.length)] ?? "";

	const check = async (source_host: string, dest_host: string, expected: Decision["verdict"]) => {
		const started = performance.now();
		const request = { instance_uuid: INSTANCE, source_host, dest_host };
		const decision = (await client.call(TARGET, "check_live_migration", { request }, { timeout: 60 })) as Decision;
		if (decision.verdict !== expected) throw new Error(`${source_host} -> ${dest_host}: ${decision.text}`);
		return performance.now() - started;
	};
	const loop = async (seconds: number, callers: number, ask: () => Promise<number>) => {
		const end = performance.now() + seconds * 1000;
		const times: number[] = [];
		const caller = async () => {
			while (performance.now() < end) times.push(await ask());
		};
		await Promise.all(Array.from({ length: callers }, caller));
		return times;
	};
	return {
		async healthy(seconds, perSecond) {
			const checks: Promise<number>[] = [];
			const started = performance.now();
			for (let number = 0; number < seconds * perSecond; number++) {
				await sleep(Math.max(0, started + (number * 1000) / perSecond - performance.now()));
				const source = any(well);
				const checked = check(source, any(well.filter((host) => host !== source)), "accept");
				// Whoever waits for all of them hears of it: one that nobody waits for yet would fail whatever is tried again.
				checked.catch(() => undefined);
				checks.push(checked);
			}
			return Promise.all(checks);
		},
		hanging: (seconds, callers) => loop(seconds, callers, () => check(any(well), any(silent), "unknown")),
		rankings: (seconds) =>
			loop(seconds, 1, async () => {
				const started = performance.now();
				const request = { instance_uuid: INSTANCE, source_host: any(well), dest_hosts: hosts };
				await client.call(TARGET, "rank_destinations", { request }, { timeout: 60 });
				return performance.now() - started;
			}),
		async cached(times) {
			const all: number[] = [];
			const [source = "", target = ""] = well;
			for (let asked = 0; asked < times; asked++) all.push(await check(source, target, "accept"));
			return all;
		},
		async stop() {
			await service.stop();
			await children.stop(listeners);
		},
	};
}
