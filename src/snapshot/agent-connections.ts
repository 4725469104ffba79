import { type AgentOptions, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity } from "node:tls";
import { LRUCache } from "lru-cache";
import type { TlsMaterial } from "./agent-tls.ts";

/** Look-up and TCP together. */
const CONNECT_MS = 1_000;
const PER_HOST = 4;
/** Connections to hosts beyond are not kept. */
const MAX_HOSTS = 1_024;

type Arguments<T extends HttpAgent> = Parameters<T["createConnection"]>;

class PlainConnections extends HttpAgent {
	override createConnection(...[options, callback]: Arguments<HttpAgent>): Duplex | null | undefined {
		return inTime(super.createConnection(options, callback));
	}
}

/** Verifies the certificate for the name by which Nova knows the host, wherever the agent is reached. */
class TlsConnections extends HttpsAgent {
	readonly #host: string;
	readonly #tls: TlsMaterial;

	constructor(host: string, tls: TlsMaterial, options: AgentOptions) {
		// A session that is taken up again would not be verified again.
		super({ ...options, maxCachedSessions: 0 });
		this.#host = host;
		this.#tls = tls;
	}

	override createConnection(...[options, callback]: Arguments<HttpsAgent>): Duplex | null | undefined {
		const own = {
			secureContext: this.#tls.context(),
			servername: this.#host,
			rejectUnauthorized: true,
			checkServerIdentity: (_name: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
				checkServerIdentity(this.#host, certificate),
		};
		return inTime(super.createConnection({ ...options, ...own }, callback));
	}
}

/** The connections to the agents, kept open host by host: a connection to one is never used for another. */
export class AgentConnections {
	readonly #lookup: LookupFunction;
	readonly #tls: TlsMaterial | undefined;
	readonly #kept = new LRUCache<string, HttpAgent>({ max: MAX_HOSTS, dispose: (agent) => agent.destroy() });

	/** `tls` is needed for URLs with https. */
	constructor(lookup: LookupFunction, tls: TlsMaterial | undefined) {
		this.#lookup = lookup;
		this.#tls = tls;
	}

	to(host: string, url: URL): HttpAgent {
		const known = this.#kept.get(host);
		if (known) return known;
		const agent = this.#create(host, url, true);
		this.#kept.set(host, agent);
		return agent;
	}

	/** One connection that is surely new. */
	fresh(host: string, url: URL): HttpAgent {
		return this.#create(host, url, false);
	}

	close(): void {
		this.#kept.clear();
	}

	#create(host: string, url: URL, keepAlive: boolean): HttpAgent {
		const options = { keepAlive, maxSockets: PER_HOST, lookup: this.#lookup };
		if (url.protocol === "http:") return new PlainConnections(options);
		if (this.#tls === undefined) throw new Error(`${url.href} needs agent_tls`);
		return new TlsConnections(host, this.#tls, options);
	}
}

function inTime<T extends Duplex | null | undefined>(socket: T): T {
	const late = setTimeout(() => {
		socket?.destroy(Object.assign(new Error(`no connection within ${CONNECT_MS} ms`), { code: "ETIMEDOUT" }));
	}, CONNECT_MS);
	const settled = () => clearTimeout(late);
	socket?.once("connect", settled).once("close", settled);
	return socket;
}
