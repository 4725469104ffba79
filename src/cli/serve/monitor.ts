import { existsSync } from "node:fs";
import type { Policy } from "../../compat/policy.ts";
import type { Config } from "../../config.ts";
import { isLoopback } from "../../http/listen.ts";
import { type HttpServer, startHttpServer } from "../../http/server.ts";
import type { Logger } from "../../log/logger.ts";
import { droppedKeys } from "../../nova/objects.ts";
import type { MadeCheck, UnmadeCheck } from "../../precheck.ts";
import type { AgentSnapshots } from "../../snapshot/agents.ts";
import type { HostState } from "../../snapshot/source.ts";
import type { ReloadCounts } from "../daemon/reload.ts";
import { type MetricsSources, ServiceMetrics } from "./metrics.ts";
import { RecentChecks } from "./recent-checks.ts";
import { answer } from "./routes.ts";
import { type Bus, detailsOf, type Role, type ShadowState, whyNotReady } from "./state.ts";
import { statusPage } from "./status-page.ts";

/** Who loads the page again and again gets the same one: checks wait while one is made. */
const PAGE_MAX_AGE_MS = 2_000;

export interface MonitorOptions {
	/** Of this service on the bus. */
	readonly name: string;
	readonly policy: () => Policy;
	readonly log: Logger;
}

/** Answers, as a part of the service. */
interface Answering {
	bus(): Bus;
	readonly server: NonNullable<MetricsSources["server"]>;
	readonly rateLimit: { readonly refused: Readonly<Record<string, number>> };
}

/** Listens in, as a part of the service. */
interface Shadowing {
	bus(): Bus;
	readonly shadow: ShadowState;
}

/** What is looked at besides. */
interface Watched {
	readonly agents: Pick<AgentSnapshots, "hosts" | "state">;
	readonly reloads: () => ReloadCounts;
	readonly certificates: () => MetricsSources["certificates"];
	readonly lost: () => MetricsSources["lost"];
}

/** What the service tells of itself over HTTP: whether it is well, numbers, and a page for people. */
export class Monitor {
	readonly metrics = new ServiceMetrics();
	readonly #options: MonitorOptions;
	/** For the page; nobody keeps them without one. */
	#recent: RecentChecks | undefined;
	#answering: Answering | undefined;
	#shadows: readonly Shadowing[] = [];
	/** While it is there the service is told to count as not ready. */
	#disablingFile: string | undefined;
	#isStopping = false;
	#http: HttpServer | undefined;
	#page: { readonly at: number; readonly html: string } | undefined;

	constructor(options: MonitorOptions) {
		this.#options = options;
	}

	/** Is told of every check. */
	checked(role: Role, made: MadeCheck): void {
		this.metrics.checked(role, made);
		this.#recent?.add(role, made);
	}

	/** Is told of every decision that no check came to. */
	unchecked(unmade: UnmadeCheck): void {
		this.metrics.decided("service", unmade.decision);
		this.#recent?.add("service", unmade);
	}

	/** The parts of the service; before that it is starting. */
	watch(answering: Answering | undefined, shadows: readonly Shadowing[]): void {
		this.#answering = answering;
		this.#shadows = shadows;
	}

	/** Listens. */
	async serve(
		{ listen, status_page, detailed, disable_by_file_path }: NonNullable<Config["http"]>,
		watched: Watched,
	): Promise<void> {
		const { log } = this.#options;
		this.#disablingFile = disable_by_file_path;
		if (status_page) this.#recent = new RecentChecks();
		const sources = {
			notReady: () => this.#notReady(),
			details: () => (detailed ? detailsOf(this.#state().buses) : undefined),
			metrics: () => {
				const { agents, reloads, certificates, lost } = watched;
				const { systemic } = agents.state();
				const service = { systemic, reloads: reloads(), certificates: certificates(), lost: lost() };
				return this.metrics.render({ ...this.#state(), hosts: agents.hosts(), ...service });
			},
			page: status_page ? () => this.#pageOf(() => watched.agents.hosts()) : undefined,
		};
		this.#http = await startHttpServer({
			listen,
			log,
			answer: (method, url, asked) => answer(method, url, asked, sources),
		});
		log.info(`health and metrics on ${this.#http.url}${status_page ? ", with the status page" : ""}`);
		if (!isLoopback(listen.address)) log.warning(`plain HTTP on ${listen.address}: everybody there can read this`);
	}

	/** Nothing more is taken. */
	stopping(): void {
		this.#isStopping = true;
	}

	async close(): Promise<void> {
		await this.#http?.close();
	}

	#notReady(): string | undefined {
		if (this.#disablingFile !== undefined && existsSync(this.#disablingFile)) return "DISABLED BY FILE";
		return whyNotReady(this.#state().buses, this.#isStopping);
	}

	#state() {
		const parts = [...(this.#answering ? [this.#answering] : []), ...this.#shadows];
		return {
			server: this.#answering?.server,
			rateLimited: this.#answering?.rateLimit.refused,
			unsafeKeys: droppedKeys.count,
			buses: parts.map((part) => part.bus()),
			shadows: this.#shadows.map(({ shadow }) => shadow),
		};
	}

	#pageOf(hosts: () => readonly HostState[]): string {
		const now = performance.now();
		if (this.#page === undefined || now - this.#page.at > PAGE_MAX_AGE_MS) {
			const { buses, shadows } = this.#state();
			const checks = this.#recent?.list() ?? [];
			const { name, policy } = this.#options;
			const state = { name, notReady: this.#notReady(), policy: policy(), now: Date.now() };
			const status = { ...state, buses, shadows, checks, hosts: hosts() };
			this.#page = { at: now, html: statusPage(status) };
		}
		return this.#page.html;
	}
}
