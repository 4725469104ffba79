import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { takeSnapshot } from "../../src/agent/scan.ts";
import { createService } from "../../src/cli/serve/service.ts";
import type { Decision } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY, type UnknownPolicy } from "../../src/compat/policy.ts";
import { Config } from "../../src/config.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { recordingLog } from "../support/log.ts";
import { ownTime } from "../support/own-time.ts";

export const [SOURCE, TARGET] = ["test_compute0", "test_compute1"] as const;
/** An instance on the source whose device fits the target. */
const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
const HOSTS = `${import.meta.dirname}/../../config/samples/hosts`;

export const snapshotOf = (host: string): Snapshot =>
	takeSnapshot({ host, sysfsRoot: `${HOSTS}/${host}/sys`, libvirtDir: `${HOSTS}/${host}/libvirt` });
const SOURCE_BODY = JSON.stringify(snapshotOf(SOURCE));
export const TARGET_BODY = JSON.stringify(snapshotOf(TARGET));

export const json =
	(body: string = TARGET_BODY, headers: Readonly<Record<string, string>> = {}, status = 200): RequestListener =>
	(_request, response) => {
		response.writeHead(status, { "Content-Type": "application/json", "Collected-Age-Ms": "0", ...headers }).end(body);
	};

/** Of the configuration. */
type ServiceOptions = Readonly<Record<string, unknown>> & { readonly agents?: Readonly<Record<string, string>> };

/** What a test has opened; closed at its end. */
export class Opened {
	readonly #closers: (() => unknown)[] = [];

	add(close: () => unknown): void {
		this.#closers.push(close);
	}

	async close(): Promise<void> {
		for (const close of this.#closers.splice(0).reverse()) await close();
	}

	async listen(server: Server & { closeAllConnections?(): void }, address = "127.0.0.1", port = 0): Promise<number> {
		server.listen(port, address);
		await once(server, "listening");
		this.add(() => {
			server.close();
			server.closeAllConnections?.();
		});
		return (server.address() as AddressInfo).port;
	}

	/** URL of an agent that answers as it is told to. */
	async agent(listener: RequestListener): Promise<string> {
		return `http://127.0.0.1:${await this.listen(createServer(listener))}`;
	}

	/** The real service on a bus in memory; the agent of the source is well unless there is another one, that of the target at this URL. */
	async service(
		target: string | undefined,
		{ agents: others = {}, ...options }: ServiceOptions = {},
		unknown?: UnknownPolicy,
	) {
		const { log, lines } = recordingLog();
		const source = await this.agent(json(SOURCE_BODY));
		const agents = { [SOURCE]: source, ...others, ...(target !== undefined && { [TARGET]: target }) };
		const config = Config.parse({ transport_url: "memory://", host: "faults", agents, ...options });
		const transport = new MemoryTransport();
		const policy = { ...DEFAULT_POLICY, unknown: unknown ?? DEFAULT_POLICY.unknown };
		const service = createService({ config, policy: () => policy, transport, log });
		await service.start();
		this.add(() => service.stop());
		const client = new RpcClient(transport);
		const call = async (method: string, fields: object) => {
			const request = { instance_uuid: INSTANCE, source_host: SOURCE, ...fields };
			const to = { exchange: "nova", topic: "migration_compat", version: "1.1" };
			const [started, passed] = [performance.now(), ownTime()];
			const reply = await client.call(to, method, { request }, { timeout: 30 });
			return { reply, ms: performance.now() - started, own: passed() };
		};
		return {
			lines,
			check: async (dest_host: string = TARGET): Promise<Checked> => {
				const { reply, ...took } = await call("check_live_migration", { dest_host });
				const decision = reply as Decision;
				return { ...decision, ...took, codes: decision.reasons.map(({ code }) => code) };
			},
			rank: (dest_hosts: readonly string[]) => call("rank_destinations", { dest_hosts }),
		};
	}
}

export interface Checked extends Decision {
	readonly ms: number;
	/** Milliseconds of our own, where it waits: the service is in this process. */
	readonly own: number;
	readonly codes: readonly string[];
	readonly snapshots?: Readonly<Record<string, unknown>>;
}

export const ms = (milliseconds: number) => `${milliseconds.toFixed(0)} ms`;
