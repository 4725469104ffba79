import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../log.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";

const MAX_CONNECTIONS = 64;
/** How long `close()` waits for requests that are being answered. */
const CLOSE_TIMEOUT_MS = 1000;
/** oslo.context's form; anything else in the header could forge log lines. */
const REQUEST_ID = /^req-[0-9a-f-]{36}$/;

/** `urn:novacompat:problem:<name>`; names are a contract. */
const PROBLEMS = {
	"bad-request": { status: 400, title: "The request is not understood" },
	"not-found": { status: 404, title: "There is nothing at this path" },
	"method-not-allowed": { status: 405, title: "The method is not allowed at this path" },
	"request-timeout": { status: 408, title: "The request took too long to arrive" },
	"header-too-large": { status: 431, title: "The request header is too large" },
	"snapshot-unavailable": { status: 503, title: "The devices of this host cannot be read" },
} as const;
type ProblemName = keyof typeof PROBLEMS;

/** Everything that the agent serves. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, (options: AgentServerOptions) => Answer>>>> = {
	"/v1/snapshot": {
		GET: ({ snapshot }) => ({ status: 200, type: "application/json", body: JSON.stringify(snapshot()) }),
	},
	"/healthcheck": {
		GET: () => ({ status: 200, type: "text/plain", body: "OK" }),
		HEAD: () => ({ status: 204 }),
	},
};

export interface AgentServerOptions {
	readonly listen: { readonly address: string; readonly port: number };
	/** Called for every `GET /v1/snapshot`; what it throws becomes the detail of a 503. */
	readonly snapshot: () => Snapshot;
	readonly log: Logger;
}

export interface AgentServer {
	readonly url: string;
	close(): Promise<void>;
}

interface Answer {
	readonly status: number;
	readonly type?: string;
	readonly body?: string;
	readonly allow?: string;
}

/** Serves what one host says about its devices. Read-only, no parameters, no bodies; errors are RFC 9457 problems. */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
	const { listen, log } = options;
	const timeouts = { headersTimeout: 5_000, requestTimeout: 10_000, connectionsCheckingInterval: 1_000 };
	const server = createServer(timeouts, (request, response) => {
		const started = performance.now();
		response.once("close", () => log.debug(requestLine(request, response.statusCode, performance.now() - started)));
		send(response, answer(request, options));
	});
	server.maxConnections = MAX_CONNECTIONS;
	server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
		if (!socket.writable || error.code === "ECONNRESET") return socket.destroy();
		const { status, type, body = "" } = problem(clientProblem(error.code), "the request could not be parsed");
		const header = `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close`;
		return socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${header}\r\n\r\n${body}`);
	});
	await new Promise<void>((resolve, reject) => {
		server.once("error", reject);
		server.listen(listen.port, listen.address, () => {
			server.off("error", reject);
			resolve();
		});
	});
	server.on("error", (error) => log.error(`agent server: ${error.message}`));
	return {
		url: urlOf(server.address() as AddressInfo),
		close: () =>
			new Promise((resolve) => {
				server.close(() => resolve());
				setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS).unref();
			}),
	};
}

function answer(request: IncomingMessage, options: AgentServerOptions): Answer {
	const { method = "", url = "" } = request;
	const methods = Object.hasOwn(ROUTES, url) ? ROUTES[url] : undefined;
	if (methods === undefined) return problem("not-found", `served are ${Object.keys(ROUTES).join(", ")}`);
	const allow = Object.keys(methods).join(", ");
	const route = Object.hasOwn(methods, method) ? methods[method] : undefined;
	if (route === undefined) return { ...problem("method-not-allowed", `allowed: ${allow}`), allow };
	try {
		return route(options);
	} catch (error) {
		const cause = error instanceof Error ? error.message : String(error);
		options.log.error(`snapshot failed: ${cause}`);
		return problem("snapshot-unavailable", cause);
	}
}

function problem(name: ProblemName, detail: string): Answer {
	const body = JSON.stringify({ type: `urn:novacompat:problem:${name}`, ...PROBLEMS[name], detail });
	return { status: PROBLEMS[name].status, type: "application/problem+json", body };
}

function clientProblem(code: string | undefined): ProblemName {
	if (code === "ERR_HTTP_REQUEST_TIMEOUT") return "request-timeout";
	return code === "HPE_HEADER_OVERFLOW" ? "header-too-large" : "bad-request";
}

function send(response: ServerResponse, { status, type, body, allow }: Answer): void {
	response.statusCode = status;
	response.setHeader("Cache-Control", "no-store");
	if (allow !== undefined) response.setHeader("Allow", allow);
	if (type !== undefined) response.setHeader("Content-Type", type);
	if (body !== undefined) response.setHeader("Content-Length", Buffer.byteLength(body));
	response.end(body);
}

function requestLine(request: IncomingMessage, status: number, milliseconds: number): string {
	const id = request.headers["x-openstack-request-id"];
	const known = typeof id === "string" && REQUEST_ID.test(id) ? id : "-";
	const target = JSON.stringify((request.url ?? "").slice(0, 100));
	return `[${known}] ${request.method} ${target} ${status} in ${milliseconds.toFixed(1)} ms`;
}

function urlOf({ address, family, port }: AddressInfo): string {
	return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
