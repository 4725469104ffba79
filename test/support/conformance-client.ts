import { createInterface } from "node:readline";
import { createLogger } from "../../src/log/logger.ts";
import { RpcClient } from "../../src/messaging/client.ts";
import { MessagingTimeout, RemoteError } from "../../src/messaging/errors.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";

// `conformance-client.js URL TOPIC`: reads calls as JSON lines from stdin, {case, timeout, monitor}, makes all of them at
// once with our client, and prints how each ended as tox-compat/tests/conformance/python_client.py does.
const [url = "", topic = ""] = process.argv.slice(2);

interface Call {
	readonly case: string;
	readonly timeout: number;
	readonly monitor: number | null;
}

const log = createLogger("novacompat.conformance", false, (line) => process.stderr.write(line));
const transport = new RabbitTransport({
	url: parseTransportUrl(url),
	options: RabbitOptions.parse({}),
	connectionName: "novacompat-conformance",
	log,
});
const client = new RpcClient(transport);

/** JSON as Python writes it: what JSON.stringify would lose is kept. */
function toPythonJson(value: unknown): string {
	if (typeof value === "bigint" || typeof value === "number") return Object.is(value, -0) ? "-0.0" : String(value);
	if (Array.isArray(value)) return `[${value.map(toPythonJson).join(", ")}]`;
	if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
	const members = Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${toPythonJson(member)}`);
	return `{${members.join(", ")}}`;
}

function outcomeOf(error: unknown): object {
	if (error instanceof MessagingTimeout) return { kind: "timeout" };
	if (error instanceof RemoteError) {
		const { excType, module, value } = error;
		return { kind: "failure", class: excType, module, message: value };
	}
	return { kind: "error", class: error instanceof Error ? error.name : typeof error };
}

async function make({ case: name, timeout, monitor }: Call): Promise<void> {
	const options = { timeout, ...(monitor !== null && { callMonitorTimeout: monitor }) };
	let outcome: object;
	try {
		outcome = { kind: "value", value: toPythonJson(await client.call({ exchange: "nova", topic }, name, {}, options)) };
	} catch (error) {
		outcome = outcomeOf(error);
	}
	process.stdout.write(`${JSON.stringify({ case: name, outcome })}\n`);
}

const calls: Promise<void>[] = [];
for await (const line of createInterface({ input: process.stdin })) calls.push(make(JSON.parse(line) as Call));
await Promise.all(calls);
await transport.close();
