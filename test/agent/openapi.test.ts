import { readFileSync } from "node:fs";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, onTestFinished, test } from "vitest";
import { SNAPSHOT_SCHEMA_VERSION } from "../../src/agent/scan.ts";
import { type ScanResult, SnapshotUnavailable, scanNow } from "../../src/agent/scan-result.ts";
import { startAgentServer } from "../../src/agent/server.ts";
import { recordingLog } from "../support/log.ts";
import { openApi } from "./openapi.ts";

const CONFIG = `${import.meta.dirname}/../../config`;
const SAMPLE = `${CONFIG}/samples/hosts/test_compute0`;
const UUID = "0002587c-b09d-468a-9995-53d16eeb8a15";

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
	const now = () => scanNow({ host: "cmp-01", sysfsRoot: `${SAMPLE}/sys`, libvirtDir: `${SAMPLE}/libvirt` });
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
		["/metrics", "get", "/metrics", {}, now, 200],
	];
	test.each(rows)("%s: %s %s %j", async (path, method, url, headers, latest, status) => {
		const server = await startAgentServer({
			listen: { address: "127.0.0.1", port: 0 },
			latest,
			log: recordingLog().log,
		});
		onTestFinished(server.close);
		const answer = await fetch(server.url + url, { method, headers });
		const text = await answer.text();
		expect(answer.status).toBe(status);

		const operation = (document.paths[path] as unknown as Record<string, Operation>)[method];
		const response = operation?.responses[status];
		if (response === undefined) throw new Error(`${method} ${path} has no ${status} in the document`);
		for (const [name, { schema }] of Object.entries(response.headers)) {
			expect(errorsOf(schema, answer.headers.get(name)), name).toEqual([]);
		}
		const type = answer.headers.get("Content-Type")?.split(";")[0];
		if (response.content === undefined) return expect(text).toBe("");
		const content = response.content[type ?? ""];
		if (content === undefined) throw new Error(`${type} is not in the document`);
		return expect(errorsOf(content.schema, type?.endsWith("json") ? JSON.parse(text) : text)).toEqual([]);
	});
});

interface Operation {
	readonly responses: Readonly<Record<string, Response>>;
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
