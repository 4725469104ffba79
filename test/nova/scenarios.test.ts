import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { afterAll, afterEach, expect, test } from "vitest";
import { z } from "zod";
import { createService } from "../../src/cli/serve/service.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { REASON_CODES } from "../../src/compat/reason.ts";
import { Config } from "../../src/config.ts";
import { createLogger } from "../../src/log/logger.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { MemoryTransport } from "../../src/messaging/memory.ts";
import { Unknown } from "../../src/policy/unknown.ts";
import { Snapshot } from "../../src/snapshot/snapshot.ts";
import { readYaml } from "../../src/yaml.ts";
import { createCa } from "../support/certificates.ts";

/** Of the one that shall move. */
const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
const SCENARIOS = `${import.meta.dirname}/../scenarios`;

const Device = z
	.looseObject({ instance: z.string().optional() })
	.transform((fields) => ({ kind: "pci", capacity: 1, unreadable: {}, attributes: {}, ...fields }))
	.pipe(Snapshot.shape.devices.element);
const Agent = z.union([
	z.enum(["unconfigured", "refused", "silent", "html", "impostor", "busy", "untrusted", "elsewhere"]),
	z.array(Device),
	/** Seconds ago, it has read its devices the last time; which instances ran then, if it says so. */
	z.strictObject({ stuck: z.number().default(0), instances: z.array(z.string()).optional(), devices: z.array(Device) }),
]);
const Scenario = z.strictObject({
	name: z.string(),
	source: Agent,
	target: Agent,
	/** Further fields of the request. */
	request: z.record(z.string(), z.unknown()).default({}),
	/** Arguments of Nova's own method, which is called instead of ours. */
	nova: z.record(z.string(), z.unknown()).optional(),
	/** Of the policy. */
	unknown: Unknown.optional(),
	/** Checks per second of one source host; and how often the same was asked just before. */
	limit: z.number().default(0),
	asked: z.number().default(0),
	verdict: z.enum(["accept", "reject", "unknown"]),
	reasons: z.array(z.string()),
	/** The exact text of the first reason. */
	message: z.string().optional(),
});
type Scenario = z.infer<typeof Scenario>;
const Decision = z.object({
	verdict: z.string(),
	reasons: z.array(z.object({ code: z.string(), severity: z.string(), message: z.string() })),
});

const servers: Server[] = [];
afterEach(() => {
	for (const server of servers.splice(0)) {
		server.closeAllConnections();
		server.close();
	}
});

/** The one that the service trusts, and another one. */
const [ca, strange] = [createCa(), createCa()];
afterAll(() => {
	ca.remove();
	strange.remove();
});

const LISTENERS: Readonly<Record<"silent" | "html" | "busy", RequestListener>> = {
	silent: () => undefined,
	busy: (_request, response) => response.writeHead(503, { "Retry-After": "60" }).end(),
	html: (_request, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<html>"),
};

function snapshotOf(host: string, says: Pick<Snapshot, "devices" | "instances">, age = 0): RequestListener {
	const boot_id = "7d0d1b0c-3a59-4a36-9d80-9f6f8a3c2f10";
	const snapshot = JSON.stringify({ schema_version: "1.0", host, boot_id, ...says });
	const headers = { "Content-Type": "application/json", "Collected-Age-Ms": `${age * 1000}` };
	return (_request, response) => response.writeHead(200, headers).end(snapshot);
}

function listenerOf(host: string, agent: z.infer<typeof Agent>): RequestListener {
	const nothing = { devices: [] };
	if (agent === "impostor") return snapshotOf("another", nothing);
	if (Array.isArray(agent)) return snapshotOf(host, { devices: agent });
	if (typeof agent === "object") {
		const { stuck, ...says } = agent;
		return snapshotOf(host, says, stuck);
	}
	return agent === "silent" || agent === "html" || agent === "busy" ? LISTENERS[agent] : snapshotOf(host, nothing);
}

/** The URL of an agent that does what the scenario says; undefined when none is configured. */
async function startAgent(host: string, agent: z.infer<typeof Agent>): Promise<string | undefined> {
	if (agent === "unconfigured") return undefined;
	if (agent === "refused") return "http://127.0.0.1:1/";
	const listener = listenerOf(host, agent);
	const { cert, key } = strange.issue(host, `DNS:${host}`);
	const isTls = agent === "untrusted";
	const server = isTls
		? createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, listener)
		: createServer(listener);
	servers.push(server.listen(0, "127.0.0.1"));
	await once(server, "listening");
	const address = server.address();
	const port = typeof address === "object" ? address?.port : "";
	return `${isTls ? "https" : "http"}://${agent === "elsewhere" ? "localhost" : "127.0.0.1"}:${port}/`;
}

/** Asks the service over its bus, with agents over HTTP. */
async function ask({
	source,
	target,
	request,
	nova,
	unknown,
	limit,
	asked,
}: Scenario): Promise<z.infer<typeof Decision>> {
	const agents = { source: await startAgent("source", source), target: await startAgent("target", target) };
	const configured = Object.fromEntries(Object.entries(agents).filter(([, url]) => url !== undefined));
	const transport = new MemoryTransport();
	const lines: string[] = [];
	const service = createService({
		config: Config.parse({
			transport_url: "memory://",
			host: "h",
			agents: configured,
			// Nobody waits for one that answers: a machine may be busy.
			agent_timeout: [source, target].includes("silent") ? 1 : 5,
			agent_tls: { ca: ca.ca, ...ca.issue("service", "DNS:service") },
			allow_insecure: true,
			max_checks_per_second_per_host: limit,
		}),
		policy: () => ({ ...DEFAULT_POLICY, ...(unknown && { unknown }) }),
		transport,
		log: createLogger("test", false, (line) => lines.push(line)),
	});
	await service.start();
	const client = new RpcClient(transport);
	const to = { exchange: "nova", topic: "migration_compat" };
	const options = { timeout: 20 };
	if (nova === undefined) {
		const departure = { instance_uuid: INSTANCE, source_host: "source", dest_host: "target", ...request };
		const call = () => client.call({ ...to, version: "1.0" }, "check_live_migration", { request: departure }, options);
		const replies = await Promise.all(Array.from({ length: asked + 1 }, call));
		return Decision.parse(replies.at(-1));
	}
	await expect(
		client.call({ ...to, version: "6.0" }, "check_can_live_migrate_destination", nova, options),
	).rejects.toMatchObject({ excType: "MigrationPreCheckError" });
	// Nova is told a text; verdict and codes stand in the log.
	const [, verdict = "", code = "", message = ""] =
		/ (\w+) \(refused by policy\).*?; ([\w.]+): (.*)$/.exec(lines.at(-1)?.trim() ?? "") ?? [];
	return { verdict, reasons: [{ code, severity: "error", message }] };
}

const scenarios = readYaml(`${SCENARIOS}/service/precheck.yaml`, z.array(Scenario));

test.each(scenarios)("$name", async (scenario) => {
	const { verdict, reasons } = await ask(scenario);
	const codes = reasons.map(({ code, severity }) => (severity === "error" ? code : `warning ${code}`));
	expect({ verdict, reasons: codes }).toEqual({ verdict: scenario.verdict, reasons: scenario.reasons });
	// A busy machine adds seconds to what is a hundred of them old.
	const message = reasons[0]?.message.replace(/\b10\d s\b/g, "100 s");
	if (scenario.message !== undefined) expect(message).toBe(scenario.message);
});

test("every reason code is produced by a scenario", () => {
	const Reasons = z.array(z.looseObject({ reasons: z.array(z.string()).default([]) }));
	const files = [...readdirSync(SCENARIOS).filter((name) => name.endsWith(".yaml")), "service/precheck.yaml"];
	const codes = files
		.flatMap((file) => readYaml(`${SCENARIOS}/${file}`, Reasons))
		.flatMap(({ reasons }) => reasons.map((text) => text.replace("warning ", "")));
	expect([...new Set(codes)].sort()).toEqual(Object.keys(REASON_CODES).sort());
});
