import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import axios, { AxiosError, type AxiosInstance } from "axios";
import { z } from "zod";
import { Snapshot } from "./snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./source.ts";

const MAX_SNAPSHOT_BYTES = 8 * 1024 * 1024;
/** A slow agent must not take the sockets of the others. */
const SOCKETS = { maxSockets: 4 };

/** Snapshots from the agents on the compute nodes: `GET /v1/snapshot`. The only place with outgoing HTTP. */
export class AgentSource implements SnapshotSource {
	readonly #agents: ReadonlyMap<string, URL>;
	readonly #timeout: number;
	readonly #http: AxiosInstance;

	/** `agents`: the base URL by Nova host name; `timeout`: seconds for one answer. */
	constructor(agents: ReadonlyMap<string, URL>, timeout: number) {
		this.#agents = agents;
		this.#timeout = timeout;
		this.#http = axios.create({
			adapter: "http",
			maxRedirects: 0,
			httpAgent: new HttpAgent(SOCKETS),
			httpsAgent: new HttpsAgent(SOCKETS),
			proxy: false,
			decompress: false,
			maxContentLength: MAX_SNAPSHOT_BYTES,
			responseType: "text",
			// Its default would hand on a page of HTML as a string.
			transformResponse: (body: string) => body,
			validateStatus: (status) => status === 200,
		});
	}

	async fetch(host: string, { signal, request_id }: FetchOptions): Promise<Snapshot> {
		// The host name comes from a message: it is a key, and never a part of a URL.
		const agent = this.#agents.get(host);
		if (agent === undefined)
			throw new SnapshotError("agent.unconfigured", `no agent is configured for host ${JSON.stringify(host)}`);
		const body = await this.#get(host, new URL("/v1/snapshot", agent), signal, request_id);
		const snapshot = readSnapshot(body, host);
		if (snapshot.host !== host) {
			throw new SnapshotError(
				"agent.identity",
				`the agent of ${host} says that it is ${JSON.stringify(snapshot.host)}`,
			);
		}
		return snapshot;
	}

	async #get(host: string, url: URL, signal: AbortSignal, request_id?: string): Promise<string> {
		const timeUp = new AbortController();
		const timer = setTimeout(() => timeUp.abort(), this.#timeout * 1000);
		const deadline = AbortSignal.any([signal, timeUp.signal]);
		try {
			const { data, headers } = await this.#http.get<string>(url.href, {
				signal: deadline,
				headers: {
					Accept: "application/json",
					"Accept-Encoding": "identity",
					...(request_id !== undefined && { "X-Openstack-Request-Id": request_id }),
				},
			});
			const type = String(headers["content-type"] ?? "");
			if (/^application\/json\b/.test(type)) return data;
			throw new SnapshotError(
				"agent.bad_reply",
				`the agent of ${host} answered with ${JSON.stringify(type)}, expected application/json`,
			);
		} catch (cause) {
			if (!(cause instanceof AxiosError)) throw cause;
			if (deadline.aborted)
				throw new SnapshotError("agent.timeout", `the agent of ${host} did not answer in time`, { cause });
			const { response, code } = cause;
			if (response)
				throw new SnapshotError("agent.bad_reply", `the agent of ${host} answered with status ${response.status}`, {
					cause,
				});
			if (code === AxiosError.ERR_BAD_RESPONSE) {
				const message = `the agent of ${host} answered with more than ${MAX_SNAPSHOT_BYTES} bytes`;
				throw new SnapshotError("agent.bad_reply", message, { cause });
			}
			throw new SnapshotError("agent.unreachable", `the agent of ${host} cannot be reached (${code ?? "no answer"})`, {
				cause,
			});
		} finally {
			clearTimeout(timer);
		}
	}
}

function readSnapshot(body: string, host: string): Snapshot {
	let json: unknown;
	try {
		json = JSON.parse(body);
	} catch (cause) {
		throw new SnapshotError("agent.bad_reply", `the agent of ${host} answered with a body that is not JSON`, { cause });
	}
	const result = Snapshot.safeParse(json);
	if (result.success) return result.data;
	const [issue] = result.error.issues;
	const where = issue?.path.join(".") ?? "";
	const message = `the agent of ${host} answered with no snapshot: ${where}: ${issue?.message ?? z.prettifyError(result.error)}`;
	throw new SnapshotError("agent.bad_reply", message, { cause: result.error });
}
