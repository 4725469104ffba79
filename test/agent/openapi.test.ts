import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { text as textOf } from "node:stream/consumers";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { SNAPSHOT_SCHEMA_VERSION } from "../../src/agent/scan.ts";
import { type ScanResult, SnapshotUnavailable, scanNow } from "../../src/agent/scan-result.ts";
import { startAgentServer } from "../../src/agent/server.ts";
import { recordingLog } from "../support/log.ts";
import { type AnywhereStatus, openApi } from "./openapi.ts";

const CONFIG = `${import.meta.dirname}/../../config`;
const SAMPLE = `${CONFIG}/samples/hosts/test_compute0`;
const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";

const now = () => scanNow({ host: "cmp-01", sysfsRoot: `${SAMPLE}/sys`, libvirtDir: `${SAMPLE}/libvirt` });

const document = openApi(SNAPSHOT_SCHEMA_VERSION);

test("config/agent.openapi.json is the document (vitest -u writes it anew)", async () => {
	await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot(`${CONFIG}/agent.openapi.json`);
});

test("it is a document of OpenAPI 3.1, by the schema of the OpenAPI Initiative", () => {
	const schema = JSON.parse(readFileSync(`${import.meta.dirname}/openapi-3.1.schema.json`, "utf8"));
	const ajv = new Ajv2020({ strict: false, validateFormats: false });
	const validate = ajv.compile(schema);
	expect(validate(document), JSON.stringify(validate.errors, null, 2)).toBe(true);
	expect(validate({ ...document, paths: { "/": { get: { responses: { 200: {} } } } } })).toBe(false);
});

describe("real answers are as the document says", () => {
	const never = () => {
		throw new SnapshotUnavailable("no scan has ended yet");
	};
	const json = { Accept: "application/json" };

	/** Path of the document, request. */
	const rows: readonly [
		path: keyof typeof document.paths,
		method: "get" | "head",
		url: string,
		headers: Readonly<Record<string, string>>,
		latest: () => Promise<ScanResult>,
		status: number,
	][] = [
		["/", "get", "/", {}, now, 200],
		["/v1/snapshot", "get", "/v1/snapshot", {}, now, 200],
		["/v1/snapshot", "get", "/v1/snapshot", { "If-None-Match": "*" }, now, 304],
		["/v1/snapshot", "get", "/v1/snapshot", {}, never, 503],
		["/v1/instances/{uuid}/devices", "get", `/v1/instances/${UUID}/devices`, {}, now, 200],
		["/v1/instances/{uuid}/devices", "get", `/v1/instances/${UUID.replace("2", "3")}/devices`, {}, now, 200],
		["/v1/instances/{uuid}/devices", "get", "/v1/instances/x/devices", {}, now, 400],
		["/v1/instances/{uuid}/devices", "get", `/v1/instances/${UUID}/devices`, {}, never, 503],
		["/healthcheck", "get", "/healthcheck", {}, now, 200],
		["/healthcheck", "get", "/healthcheck", json, now, 200],
		["/healthcheck", "get", "/healthcheck", json, never, 503],
		["/healthcheck", "head", "/healthcheck", {}, now, 204],
		["/healthcheck", "head", "/healthcheck", {}, never, 503],
		["/livez", "get", "/livez", {}, never, 200],
		["/livez", "head", "/livez", {}, never, 204],
		["/readyz", "get", "/readyz", json, now, 200],
		["/readyz", "get", "/readyz", {}, never, 503],
		["/readyz", "head", "/readyz", {}, never, 503],
		["/metrics", "get", "/metrics", {}, now, 200],
	];
	test.each(rows)("%s: %s %s %j", async (path, method, url, headers, latest, status) => {
		const answer = await fetch((await agent(latest)) + url, { method, headers });
		const text = await answer.text();
		expect(answer.status).toBe(status);

		expectDocumented(path, method, answer.status, answer.headers, text);
	});

	test.each([
		[now, 200],
		[never, 503],
	])("/healthcheck in detail", async (latest, status) => {
		const answer = await fetch(`${await agent(latest, true)}/healthcheck`, { headers: json });
		expect(answer.status).toBe(status);
		const text = await answer.text();
		expect(text).toContain('"detailed":true');
		expectDocumented("/healthcheck", "get", status, answer.headers, text);
	});
});

describe("what may come of any request really comes, at every path", () => {
	const paths = Object.keys(document.paths).map((path) => path.replace("{uuid}", UUID));
	const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: cmp-01\r\nConnection: close\r\n`;

	/** What is sent. */
	const rows: readonly [status: AnywhereStatus, request: (path: string) => string][] = [
		[400, (path) => get(path).replace("HTTP/1.1", "nonsense")],
		[404, (path) => `${get(`${path}?root=/etc`)}\r\n`],
		[405, (path) => `${get(path).replace("GET", "PATCH")}\r\n`],
		[408, get],
		[431, (path) => `${get(path)}X: ${"x".repeat(16_384)}\r\n\r\n`],
	];
	test.each(rows)("%i", async (status, request) => {
		const url = await agent(now);
		const answers = await Promise.all(paths.map((path) => exchange(url, request(path))));
		for (const [index, answer] of answers.entries()) {
			expect(answer.status).toBe(status);
			expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
			expectDocumented(DOCUMENTED[index] ?? "/", "get", status, answer.headers, answer.text);
		}
	});

	test("503", async () => {
		// So many are answered at once that no other is.
		const url = await agent(() => new Promise(() => undefined));
		const waiting = Array.from({ length: 64 }, () => fetch(`${url}/v1/snapshot`).catch(() => undefined));
		await expect.poll(async () => (await exchange(url, `${get("/")}\r\n`)).status).toBe(503);
		for (const [index, path] of paths.entries()) {
			const { status, headers, text } = await exchange(url, `${get(path)}\r\n`);
			expect(headers.get("Content-Type")).toBe("application/problem+json");
			expectDocumented(DOCUMENTED[index] ?? "/", "get", status, headers, text);
		}
		expect(waiting).toHaveLength(64);
	});
});

/** An agent over plain HTTP, which ends with the test. */
async function agent(latest: () => Promise<ScanResult>, detailed = false): Promise<string> {
	const listen = { address: "127.0.0.1", port: 0 };
	const server = await startAgentServer({ listen, latest, detailed, log: recordingLog().log });
	onTestFinished(server.close);
	return server.url;
}

/** The answer to these bytes, whatever they are. */
async function exchange(url: string, request: string) {
	const socket = connect(Number(new URL(url).port), "127.0.0.1");
	socket.write(request);
	const answer = await textOf(socket);
	const [head = "", text = ""] = answer.split("\r\n\r\n");
	const [statusLine = "", ...lines] = head.split("\r\n");
	const headers = new Headers(lines.map((line) => line.split(": ", 2) as [string, string]));
	return { status: Number(statusLine.split(" ")[1]), headers, text };
}

const DOCUMENTED = Object.keys(document.paths) as readonly (keyof typeof document.paths)[];

/** The answer is one that the operation has in the document, with its headers and its content. */
function expectDocumented(
	path: keyof typeof document.paths,
	method: "get" | "head",
	status: number,
	headers: Headers,
	text: string,
): void {
	const operation = (document.paths[path] as unknown as Record<string, Operation>)[method];
	const own = operation?.responses[status];
	const response = own && "$ref" in own ? (document.components.responses[status as AnywhereStatus] as Response) : own;
	if (response === undefined) throw new Error(`${method} ${path} has no ${status} in the document`);
	for (const [name, { schema }] of Object.entries(response.headers)) {
		expect(errorsOf(schema, headers.get(name)), name).toEqual([]);
	}
	const type = headers.get("Content-Type")?.split(";")[0];
	if (response.content === undefined) {
		expect(text).toBe("");
		return;
	}
	const content = response.content[type ?? ""];
	if (content === undefined) throw new Error(`${type} is not in the document`);
	expect(errorsOf(content.schema, type?.endsWith("json") ? JSON.parse(text) : text)).toEqual([]);
}

interface Operation {
	readonly responses: Readonly<Record<string, Response | { readonly $ref: string }>>;
}
interface Response {
	readonly headers: Readonly<Record<string, { readonly schema: object }>>;
	readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

/** `#/components/schemas/...` is found because the components stand beside. */
function errorsOf(schema: object, value: unknown): readonly unknown[] {
	const validate = new Ajv2020({ strict: false, validateFormats: false }).compile({
		...schema,
		components: document.components,
	});
	return validate(value) ? [] : (validate.errors ?? []);
}
