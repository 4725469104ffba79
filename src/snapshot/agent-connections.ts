import { X509Certificate } from "node:crypto";
import { type AgentOptions, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, type PeerCertificate, type SecureContext } from "node:tls";
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
	readonly #secureContext: SecureContext;

	constructor(host: string, secureContext: SecureContext, options: AgentOptions) {
		// A session that is taken up again would not be verified again.
		super({ ...options, maxCachedSessions: 0 });
		this.#host = host;
		this.#secureContext = secureContext;
	}

	override createConnection(...[options, callback]: Arguments<HttpsAgent>): Duplex | null | undefined {
		const own = {
			secureContext: this.#secureContext,
			servername: this.#host,
			rejectUnauthorized: true,
			checkServerIdentity: (_name: string, certificate: PeerCertificate) => checkIdentity(this.#host, certificate),
		};
		return inTime(super.createConnection({ ...options, ...own }, callback));
	}
}

/**
 * By subjectAltName alone: a common name is any text, not the name of a host (RFC 9525). Nor by a wildcard: whoever has one
 * could answer for every host below it.
 */
function checkIdentity(host: string, certificate: PeerCertificate): Error | undefined {
	const { subject: _commonName, ...named } = certificate;
	const refusal = checkServerIdentity(host, { ...named, subject: {} } as PeerCertificate);
	// There are no wildcards of addresses.
	if (refusal || isIP(host) !== 0) return refusal;
	const name = new X509Certificate(certificate.raw).checkHost(host, { subject: "never", wildcards: false });
	return name === undefined ? new WildcardOnly(host) : undefined;
}

/** As Node.js says of a certificate for another name, with a code of its own. */
class WildcardOnly extends Error {
	readonly code = "ERR_TLS_CERT_ALTNAME_WILDCARD";

	constructor(host: string) {
		super(`the certificate has a wildcard, expected DNS:${host}`);
	}
}

interface Kept {
	readonly agent: HttpAgent;
	readonly context: SecureContext | undefined;
}

/** The connections to the agents, kept open host by host: a connection to one is never used for another. */
export class AgentConnections {
	readonly #lookup: LookupFunction;
	readonly #tls: TlsMaterial | undefined;
	readonly #kept = new LRUCache<string, Kept>({ max: MAX_HOSTS, dispose: ({ agent }) => keepNone(agent) });

	/** `tls` is needed for URLs with https. */
	constructor(lookup: LookupFunction, tls: TlsMaterial | undefined) {
		this.#lookup = lookup;
		this.#tls = tls;
	}

	/** Anew when the certificates are new: an open connection was verified with the old ones. */
	to(host: string, url: URL): HttpAgent {
		const context = this.#contextFor(url);
		const known = this.#kept.get(host);
		if (known && known.context === context) return known.agent;
		const agent = this.#create(host, context, true);
		this.#kept.set(host, { agent, context });
		return agent;
	}

	/** One connection that is surely new. */
	fresh(host: string, url: URL): HttpAgent {
		return this.#create(host, this.#contextFor(url), false);
	}

	/** undefined for http. */
	#contextFor({ protocol, href }: URL): SecureContext | undefined {
		if (protocol === "http:") return undefined;
		if (this.#tls === undefined) throw new Error(`${href} needs agent_tls`);
		return this.#tls.context();
	}

	#create(host: string, context: SecureContext | undefined, keepAlive: boolean): HttpAgent {
		const options = { keepAlive, maxSockets: PER_HOST, lookup: this.#lookup };
		return context ? new TlsConnections(host, context, options) : new PlainConnections(options);
	}
}

/** Those that wait for an answer end with it. */
function keepNone(agent: HttpAgent): void {
	agent.maxFreeSockets = 0;
	for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy();
}

function inTime<T extends Duplex | null | undefined>(socket: T): T {
	const late = setTimeout(() => {
		socket?.destroy(Object.assign(new Error(`no connection within ${CONNECT_MS} ms`), { code: "ETIMEDOUT" }));
	}, CONNECT_MS);
	const settled = () => clearTimeout(late);
	socket?.once("connect", settled).once("close", settled);
	return socket;
}
