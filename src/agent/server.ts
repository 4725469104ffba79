import { type HttpCounts, type HttpServer, type HttpServerOptions, startHttpServer } from "../http/server.ts";
import { answer, answerMonitoring, type Sources } from "./routes.ts";
import { NO_SCANS, type ScanCounts } from "./scanner.ts";
import type { AgentTls } from "./tls.ts";

export interface AgentServerOptions extends Pick<HttpServerOptions, "listen" | "log"> {
	readonly latest: Sources["latest"];
	readonly scans?: () => ScanCounts;
	/** Whether `/healthcheck` says how it stands with scans and certificate. */
	readonly detailed?: boolean;
	/** Clients need a certificate; left out, plain HTTP. */
	readonly tls?: AgentTls | undefined;
}

export type AgentServer = HttpServer;

/** Serves what one host says about its devices. Read-only, no parameters. */
export function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
	const { listen, log, tls } = options;
	return startHttpServer({
		listen,
		log,
		tls,
		answer: (method, url, asked, counts) => answer(method, url, asked, sourcesOf(options, counts)),
	});
}

/** Serves in plain HTTP, elsewhere, how the agent is: nothing of the host. */
export function startMonitoringServer(
	listen: HttpServerOptions["listen"],
	agent: AgentServer,
	options: Omit<AgentServerOptions, "listen">,
): Promise<HttpServer> {
	return startHttpServer({
		listen,
		log: options.log,
		answer: (method, url, asked) => answerMonitoring(method, url, asked, sourcesOf(options, agent.counts())),
	});
}

function sourcesOf(options: Omit<AgentServerOptions, "listen">, counts: HttpCounts): Sources {
	const { tls, latest, scans = () => NO_SCANS, detailed = false } = options;
	return { latest, counts: () => ({ scans: scans(), ...counts, tls: tls?.metrics }), detailed };
}
