import { expect } from "vitest";
import { PASSWORD, startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { allowService } from "../support/service-user.ts";
import { Caller, type Question } from "./caller.ts";
import { type History, violations } from "./history.ts";
import { type Launch, Process } from "./processes.ts";
import { FaultProxy } from "./proxy.ts";
import { CANARY, DESTINATIONS, startWorld, type World } from "./world.ts";

/** What a file of the suite shares: a broker, the network to it, hosts with agents, a service and one who calls it. */
export interface Rig {
	readonly broker: TestBroker;
	/** Between the service and the broker; the caller has a line of its own. */
	readonly proxy: FaultProxy;
	readonly world: World;
	readonly service: Process;
	readonly caller: Caller;
	/** Another service, through a proxy of its own, on a virtual host of its own. */
	apart(options?: ApartOptions): Promise<Apart>;
	/** One more who calls. */
	call(vhost: string): Promise<Caller>;
	/** Runs what breaks something: requests that live meanwhile have their time from its end. */
	fault<T>(work: () => Promise<T>): Promise<T>;
	/** Milliseconds until there is an answer again; until then nobody is there who could be late. */
	back(patience?: number, caller?: Caller, question?: Question): Promise<number>;
	/** The history of everything since the last time breaks no promise. */
	check(): void;
	close(): Promise<void>;
}

interface ApartOptions {
	/** Of the service's configuration. */
	readonly options?: Readonly<Record<string, unknown>>;
	readonly launch?: Launch;
	/** Runs before the service starts. */
	readonly before?: (caller: Caller, vhost: string) => Promise<void>;
	readonly ready?: boolean;
}

interface Apart {
	readonly vhost: string;
	readonly url: string;
	readonly proxy: FaultProxy;
	readonly service: Process;
	readonly caller: Caller;
	/** Starts one more service of the same configuration, beside the first or in its place. */
	serve(launch?: Launch): Process;
	close(): Promise<void>;
}

/**
 * `own`: options of the shared service. It may do what the guide lets its user do, and no more: Nova's exchange is the caller's, who brings
 * it back, too, when a broker was killed and has forgotten it.
 */
export async function startRig(own: Readonly<Record<string, unknown>> = {}): Promise<Rig> {
	const [broker, world] = await Promise.all([startRabbitMq(), startWorld()]);
	const user = "novacompat";
	await broker.addUser(user);
	await allowService(broker, user, "/");
	const told = new Set<string>();
	const faults: History["faults"][number][] = [];
	const processes: Process[] = [];
	const callers: Caller[] = [];
	const proxies: FaultProxy[] = [];
	let vhosts = 0;
	const fault = async <T>(work: () => Promise<T>): Promise<T> => {
		const from = performance.now();
		try {
			return await work();
		} finally {
			faults.push({ from, to: performance.now() });
		}
	};
	const serve = (port: number, vhost: string, options: Readonly<Record<string, unknown>> = {}, launch: Launch = {}) => {
		const transport_url = `rabbit://${user}:${PASSWORD}@127.0.0.1:${port}/${vhost}`;
		const config = { transport_url, agents: world.agents, stand_in_hosts: DESTINATIONS, ...options };
		const service = Process.serve(config, launch);
		processes.push(service);
		return service;
	};
	const call = async (vhost: string) => {
		const caller = await Caller.start(`${broker.url}${vhost}`);
		callers.push(caller);
		return caller;
	};
	const network = async () => {
		const proxy = await FaultProxy.start(broker.port);
		proxies.push(proxy);
		return proxy;
	};
	const proxy = await network();
	const caller = await call("");
	const service = await serve(proxy.port, "", own).ready();
	return {
		broker,
		proxy,
		world,
		service,
		caller,
		call,
		async apart({ options, launch, before, ready = true } = {}) {
			const vhost = `v${++vhosts}`;
			await broker.ctl("add_vhost", vhost);
			await broker.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*");
			await allowService(broker, user, vhost);
			const [own, line] = [await call(vhost), await network()];
			await before?.(own, vhost);
			const service = serve(line.port, vhost, options, launch);
			if (ready) await service.ready();
			return {
				vhost,
				url: `${broker.url}${vhost}`,
				proxy: line,
				service,
				caller: own,
				serve: (other = launch) => serve(line.port, vhost, options, other),
				async close() {
					await own.close();
					line.close();
					await Promise.all(processes.slice(processes.indexOf(service)).map((one) => one.end()));
				},
			};
		},
		fault,
		back: (patience, who = caller, question = world.question(0)) => fault(() => who.untilAnswered(question, patience)),
		check() {
			const text = [...processes.map(({ log }) => log), ...callers.flatMap(({ texts }) => texts)].join("\n");
			const found = [
				...callers.flatMap(({ asked, answers }) => violations({ asked, answers, faults, text: "", secrets: [] })),
				...violations({ asked: [], answers: [], faults, text, secrets: [CANARY, PASSWORD] }),
			].filter((violation) => !told.has(violation));
			for (const violation of found) told.add(violation);
			expect(found).toEqual([]);
		},
		async close() {
			await Promise.all(callers.map((one) => one.close()));
			await Promise.all(processes.map((one) => one.end()));
			for (const line of proxies) line.close();
			await world.close();
			await broker.stop();
		},
	};
}
