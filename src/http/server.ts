import {
	createServer as createHttpServer,
	type IncomingMessage,
	type Server,
	type ServerResponse,
	STATUS_CODES,
} from "node:http";
import { createServer as createHttpsServer, Server as HttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { type SecureContextOptions, TLSSocket } from "node:tls";
import type { Logger } from "../log/logger.ts";
import type { Answer, Asked } from "./answer.ts";
import { limitHandshakes, peerOf } from "./handshakes.ts";
import type { Listen } from "./listen.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { MAX_PER_SECOND, Pace } from "./pace.ts";
import { problem, problemOfParser } from "./problems.ts";
import { contextOf, isWithoutHost, requestLine, targetOf } from "./request.ts";

/** More than a flood of half-open ones that the time limits have not ended yet. */
const MAX_CONNECTIONS = 1024;
/** Of a request. Clients send ten or twenty, but 16 KiB have room for 1,000, which take 100 KB when read. */
const MAX_HEADERS = 64;
/** Answers that are on their way at once; who comes then shall ask again. */
const MAX_ANSWERS = 64;
/** Of what goes wrong with TLS, or who begins handshakes all the time fills the disk. */
const MAX_LINES_PER_SECOND = 5;
/** So long has one to wait who asks too often: a client that asks again at once would go round and round. */
const HOLD_MS = 1_000;
const LIMITS = {
	IncomingMessage: OneAtATime,
	/** Node's own answer to who names none is no problem+json. */
	requireHostHeader: false,
	headersTimeout: 5_000,
	requestTimeout: 10_000,
	keepAliveTimeout: 30_000,
	connectionsCheckingInterval: 1_000,
};
const MUTUAL = { requestCert: true, rejectUnauthorized: true };
/** So long may a client take nothing of its answer. */
const INACTIVITY_MS = 60_000;
/** How long `close()` waits for requests that are being answered. */
const CLOSE_TIMEOUT_MS = 1000;
/** Over TLS a large body goes out in parts, or all of it would be encrypted before a slow client has taken the first. */
const PART_BYTES = 64 * 1024;

/** Clients need a certificate then. What is new is taken without a restart. */
interface ServerTls {
	readonly context: SecureContextOptions;
	watch(use: (context: SecureContextOptions) => void): void;
	stop(): void;
}

/** What the server counts itself. */
export interface HttpCounts {
	/** How many answers by status. */
	readonly answers: ReadonlyMap<number, number>;
	/** That are open. */
	readonly connections: number;
}

export interface HttpServerOptions {
	readonly listen: Listen;
	/** What is thrown is a bug. */
	readonly answer: (method: string, url: string, asked: Asked, counts: HttpCounts) => Answer | Promise<Answer>;
	/** Left out, plain HTTP. */
	readonly tls?: ServerTls | undefined;
	readonly log: Logger;
}

export interface HttpServer {
	readonly url: string;
	counts(): HttpCounts;
	close(): Promise<void>;
}

/** Serves what is there to be read: no bodies, no compression, and limits on all that a client can do. */
export async function startHttpServer({ listen, log, tls, answer }: HttpServerOptions): Promise<HttpServer> {
	const answers = new Map<number, number>();
	const pace = new Pace(MAX_PER_SECOND);
	let open = 0;
	/** That are open, by peer; when they end with their next answer, in milliseconds since 1970. */
	const connections = new Map<string, { end: number }>();
	const handle = async (request: IncomingMessage, response: ServerResponse, refused?: Answer) => {
		const started = performance.now();
		const { end = 0 } = connections.get(peerOf(request.socket)) ?? {};
		if (end < Date.now()) response.setHeader("Connection", "close");
		response.once("close", () => {
			answers.set(response.statusCode, (answers.get(response.statusCode) ?? 0) + 1);
			const line = requestLine(request, response.statusCode, performance.now() - started);
			log.debug(line, contextOf(request.headers));
		});
		if (pace.isExceeded(request.socket.remoteAddress ?? "")) return hold(response);
		// Who is cut off for what came along with this takes no place from others; that is known when all of them have been read.
		await nextTurn();
		if (request.socket.destroyed) return;
		open++;
		response.once("close", () => open--);
		const { method = "", headers } = request;
		const { path, host } = targetOf(request);
		const asked = { accept: headers.accept ?? "", ifNoneMatch: headers["if-none-match"], host };
		const counts = { answers, connections: connections.size };
		send(response, open > MAX_ANSWERS ? TOO_MANY : (refused ?? (await answer(method, path, asked, counts))));
	};
	const serve = (request: OneAtATime, response: ServerResponse, refused?: Answer) => {
		response.once("close", () => request.answered());
		handle(request, response, refused).catch((error: unknown) => {
			log.exception("request failed", error);
			response.destroy();
		});
	};
	const listener = (request: OneAtATime, response: ServerResponse) => serve(request, response, mistakeIn(request));
	const server = tls
		? createHttpsServer({ ...LIMITS, ...MUTUAL, ...tls.context }, listener)
		: createHttpServer(LIMITS, listener);
	const lines = new Pace(MAX_LINES_PER_SECOND);
	const warn = (text: string) => lines.isExceeded("") || log.warning(text);
	if (server instanceof HttpsServer) {
		tls?.watch((context) => {
			server.setSecureContext(context);
			for (const connection of connections.values()) connection.end = 0;
			server.closeIdleConnections();
		});
		// A certificate is looked at when a connection begins, and some never stop to ask.
		server.on("secureConnection", (socket) => {
			const connection = connections.get(peerOf(socket));
			if (connection) connection.end = Math.min(connection.end, Date.parse(socket.getPeerCertificate().valid_to));
		});
		limitHandshakes(server, warn);
	}
	server.maxConnections = MAX_CONNECTIONS;
	// Who has been answered and stays makes room: who is turned away finds it when he comes again. Over TLS that is who has a certificate,
	// and handshakes of others shall not end his connection.
	if (!tls) server.on("drop", () => server.closeIdleConnections());
	// One more is read, to know of it: Node.js 20 drops what is too much, and 22 refuses it by itself.
	server.maxHeadersCount = MAX_HEADERS + 1;
	server.setTimeout(INACTIVITY_MS);
	server.on("connection", (socket) => {
		const peer = peerOf(socket);
		connections.set(peer, { end: Number.POSITIVE_INFINITY });
		socket.once("close", () => connections.delete(peer));
	});
	server.on("checkExpectation", (request: OneAtATime, response) => serve(request, response, UNEXPECTED));
	endWhatIsNoRequest(server, warn);
	await listening(server, listen);
	server.on("error", (error) => log.error(`HTTP server: ${error.message}`));
	return {
		url: urlOf(tls ? "https" : "http", server.address() as AddressInfo),
		counts: () => ({ answers, connections: connections.size }),
		close: () =>
			new Promise((resolve) => {
				tls?.stop();
				server.close(() => resolve());
				setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS).unref();
			}),
	};
}

function endWhatIsNoRequest(server: Server | HttpsServer, warn: (text: string) => void): void {
	server.on("upgrade", (_tooMany, socket) => socket.destroy());
	server.on("tlsClientError", (error: Error, socket: TLSSocket) => {
		// Of a certificate that is refused Node.js has no error: it closes the connection.
		const cause = socket.authorizationError ?? error.message;
		warn(`TLS with ${socket.remoteAddress ?? "a client"} failed: ${String(cause).trim()}`);
	});
	server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
		if (!socket.writable || error.code === "ECONNRESET") return socket.destroy();
		const { status, type, body } = problem(problemOfParser(error.code), "the request could not be parsed");
		const header = `Cache-Control: no-store\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close`;
		// Who sends byte by byte does not close either.
		const text = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${header}\r\n\r\n${body}`;
		return socket.end(text, () => socket.destroy());
	});
}

function listening(server: Server, { address, port }: Listen): Promise<void> {
	return new Promise((resolve, reject) => {
		server.once("error", reject);
		server.listen(port, address, () => {
			server.off("error", reject);
			resolve();
		});
	});
}

const WITHOUT_HOST: Answer = problem("bad-request", "expected a Host header");
const UNEXPECTED: Answer = problem("expectation-failed", "nothing is expected but 100-continue");
const TOO_MANY_HEADERS: Answer = problem("header-too-large", `expected at most ${MAX_HEADERS} headers`);
const TOO_MANY = overloaded(`at most ${MAX_ANSWERS} are answered at once`);
const TOO_OFTEN = overloaded(`at most ${MAX_PER_SECOND} of one address are answered in a second`);

/** What is wrong with a request whatever it asks for; names and values of its headers take turns. */
function mistakeIn(request: OneAtATime): Answer | undefined {
	if (request.rawHeaders.length > 2 * MAX_HEADERS) return TOO_MANY_HEADERS;
	return isWithoutHost(request) ? WITHOUT_HOST : undefined;
}

function overloaded(detail: string): Answer {
	return { ...problem("overloaded", detail), headers: { "Retry-After": "1" } };
}

function hold(response: ServerResponse): void {
	const timer = setTimeout(() => send(response, TOO_OFTEN), HOLD_MS);
	response.once("close", () => clearTimeout(timer));
}

function send(response: ServerResponse, { status, type, body = "", headers = {} }: Answer): void {
	const length = Buffer.byteLength(body);
	response.writeHead(status, {
		"Cache-Control": "no-store",
		...(type !== undefined && { "Content-Type": type, "Content-Length": length }),
		...headers,
	});
	const isInParts = typeof body !== "string" && length > PART_BYTES && response.socket instanceof TLSSocket;
	if (!isInParts) response.end(body);
	else Readable.from(partsOf(body)).pipe(response);
}

function* partsOf(body: Buffer): Generator<Buffer> {
	for (let start = 0; start < body.length; start += PART_BYTES) yield body.subarray(start, start + PART_BYTES);
}

function urlOf(scheme: string, { address, family, port }: AddressInfo): string {
	return `${scheme}://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}
