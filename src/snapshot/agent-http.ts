import { type ClientRequest, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import type { Readable } from "node:stream";
import axios, { AxiosError, type AxiosInstance, type AxiosRequestConfig, type AxiosResponse } from "axios";
import { ANSWER_REFUSED, BoundedBody, refusal } from "./agent-body.ts";
import type { AgentConnections } from "./agent-connections.ts";
import { ADDRESS_REFUSED } from "./agent-networks.ts";
import { tlsProblem } from "./agent-tls.ts";
import { type CheckIds, SnapshotError } from "./source.ts";

/** A lone certificate authority or proxy in between can be slow; the deadline is the signal of the request. */
const MAX_SILENCE_MS = 3_000;
/** What an agent answers with; whatever else it sends is none. */
const ANSWERS: readonly number[] = [200, 304, 429, 500, 502, 503, 504];
/** The agent closed a connection that it had kept open, in the moment in which it was used again. */
const CLOSED: ReadonlySet<string | undefined> = new Set(["ECONNRESET", "EPIPE"]);

/** RFC 9110, 15.2: some may come before the answer. An agent sends none, and something in between one or two. */
const MAX_INTERIM = 16;

/** What axios takes by itself, but for what it does not bound: the pieces of a body, which it collects, and what comes before the answer. */
const boundedAnswers = (heard: () => void) => ({
	request(options: RequestOptions, answered: (response: Readable) => void): ClientRequest {
		const request = options.protocol === "https:" ? requestHttps : requestHttp;
		const asking = request(options, (response) => {
			const { statusCode, headers } = response;
			heard();
			answered(Object.assign(new BoundedBody(response.on("data", heard)), { statusCode, headers }));
		});
		let interim = 0;
		asking.once("upgrade", ({ statusCode }, socket) => {
			socket.destroy();
			// It belongs to the other protocol now: nothing that happens to it would be told.
			asking.emit("error", refusal(`status ${statusCode}`));
		});
		return asking.on("information", () => {
			if (++interim > MAX_INTERIM) asking.destroy(refusal(`more than ${MAX_INTERIM} interim responses`));
		});
	},
});

export interface AgentRequest extends CheckIds {
	readonly host: string;
	readonly url: URL;
	readonly signal: AbortSignal;
	/** Called with each piece of the answer. */
	readonly heard: () => void;
	/** Of what is known already. */
	readonly etag?: string | undefined;
}

export interface AgentReply {
	/** 200, 304, 429 or 5xx. */
	readonly status: number;
	/** By name in lower case. */
	readonly headers: Readonly<Record<string, unknown>>;
	readonly body: Buffer;
}

/** The only place with outgoing HTTP: `GET /v1/snapshot` of one agent, within limits. */
export class AgentHttp {
	readonly #connections: AgentConnections;
	readonly #http: AxiosInstance;

	constructor(connections: AgentConnections) {
		this.#connections = connections;
		this.#http = axios.create({
			adapter: "http",
			allowAbsoluteUrls: false,
			maxRedirects: 0,
			proxy: false,
			decompress: false,
			timeout: MAX_SILENCE_MS,
			maxBodyLength: 0,
			responseType: "arraybuffer",
			// Its default would hand on a page of HTML as a string.
			transformResponse: (body: Buffer) => body,
			validateStatus: (status) => ANSWERS.includes(status),
		});
	}

	/** One try. Throws SnapshotError. */
	async get(request: AgentRequest): Promise<AgentReply> {
		const { host, url } = request;
		try {
			return await this.#send(request, this.#connections.to(host, url)).catch((error: unknown) => {
				if (!wasClosedWhileKept(error)) throw error;
				return this.#send(request, this.#connections.fresh(host, url));
			});
		} catch (error) {
			if (error instanceof AxiosError) throw failure(error, request);
			throw error;
		}
	}

	async #send(request: AgentRequest, agent: AxiosRequestConfig["httpAgent"]) {
		const { url, signal, heard, etag, request_id, global_request_id, traceparent } = request;
		const { status, headers, data }: AxiosResponse<Buffer> = await this.#http.get("/v1/snapshot", {
			baseURL: url.origin,
			httpAgent: agent,
			httpsAgent: agent,
			signal,
			transport: boundedAnswers(heard),
			headers: {
				Accept: "application/json",
				"Accept-Encoding": "identity",
				"User-Agent": "novacompat",
				...(etag !== undefined && { "If-None-Match": etag }),
				...(request_id !== undefined && { "X-Openstack-Request-Id": request_id }),
				...(global_request_id !== undefined && { "X-OpenStack-Global-Request-ID": global_request_id }),
				...(traceparent !== undefined && { traceparent }),
			},
		});
		return { status, headers, body: data };
	}
}

function wasClosedWhileKept(error: unknown): boolean {
	if (!(error instanceof AxiosError) || error.response || !CLOSED.has(error.code)) return false;
	return error.request?.reusedSocket === true;
}

function failure(cause: AxiosError, { host, signal }: AgentRequest): SnapshotError {
	const of = (code: SnapshotError["code"], problem: string) =>
		new SnapshotError(code, `the agent of ${host} ${problem}`, { cause });
	const { response, code = "no answer" } = cause;
	if (signal.aborted || code === AxiosError.ECONNABORTED) return of("agent.timeout", "did not answer in time");
	if (code === ANSWER_REFUSED) return of("agent.bad_reply", `answered with ${cause.message}`);
	const brokeOff = (how: string) => of("agent.unreachable", `broke off in the middle of its answer (${how})`);
	// The head of an answer is an agent's own: only the rest is missing, as when the agent is stopped.
	if (response && ANSWERS.includes(response.status)) return brokeOff(`status ${response.status}`);
	if (response) return of("agent.bad_reply", `answered with status ${response.status}`);
	if (code === ADDRESS_REFUSED) return of("agent.address", "is at an address outside of agent_networks");
	if (code.startsWith("HPE_")) return of("agent.bad_reply", `does not speak HTTP (${code})`);
	if (CLOSED.has(code) && cause.request?.socket?.bytesRead > 0) return brokeOff(code);
	if (CLOSED.has(code) && cause.request?.socket?.authorized === true) {
		// What Node.js does to a client whose certificate it does not trust, without an alert.
		return of("agent.tls", `closed the connection after the handshake: it may refuse our client certificate (${code})`);
	}
	const problem = tlsProblem(code, cause.message);
	if (problem) return of("agent.tls", `cannot be trusted: ${problem}`);
	return of("agent.unreachable", `cannot be reached (${code})`);
}
