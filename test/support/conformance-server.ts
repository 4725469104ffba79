import { setTimeout as sleep } from "node:timers/promises";
import { createLogger } from "../../src/log/logger.ts";
import type { Endpoint, Method } from "../../src/messaging/endpoint.ts";
import { RpcFailure, valueError } from "../../src/messaging/errors.ts";
import type { RawContext } from "../../src/messaging/message.ts";
import { RabbitOptions } from "../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../src/messaging/rabbit/transport-url.ts";
import { RpcServer } from "../../src/messaging/server.ts";

// `conformance-server.js URL TOPIC`: our RPC server with the endpoints of tox-compat/tests/conformance/python_server.py.
const [url = "", topic = ""] = process.argv.slice(2);

/** How many times a method ran, by `case` of the context. */
const executed = new Map<string, number>();

function method(
	run: (args: Readonly<Record<string, unknown>>, context: RawContext) => unknown,
	required: readonly string[] = [],
	optional: readonly string[] = [],
): Method<RawContext> {
	return {
		required,
		optional,
		handler: async (args, { context }) => {
			const name = String(context.get("case"));
			executed.set(name, (executed.get(name) ?? 0) + 1);
			return run(args, context);
		},
	};
}

const FAILURES: Readonly<Record<string, () => Error>> = {
	ValueError: () => valueError("no"),
	"no arguments": () => new RpcFailure("ValueError", "builtins", "", []),
	"two arguments": () => new RpcFailure("ValueError", "builtins", "('no', 7)", ["no", 7]),
	unicode: () => valueError("café 😀"),
	lines: () => valueError("one\ntwo"),
	NotImplementedError: () => new RpcFailure("NotImplementedError", "builtins", "", []),
	"own module": () => new RpcFailure("Plain", "remote_errors", "no"),
	kwargs: () =>
		new RpcFailure(
			"WithKwargs",
			"remote_errors",
			"Migration pre-check error: foo",
			["Migration pre-check error: foo"],
			{ reason: "foo", code: 500 },
		),
	big: () => valueError("x".repeat(100_000)),
	unexpected: () => new Error("password=secret"),
};

function circle(): unknown {
	const list: unknown[] = [];
	list.push(list);
	return list;
}

const RESULTS: Readonly<Record<string, () => unknown>> = {
	nothing: () => undefined,
	false: () => false,
	zero: () => 0,
	"empty text": () => "",
	"empty list": () => [],
	fraction: () => 1.5,
	"whole float": () => 1.0,
	NaN: () => Number.NaN,
	"2^70": () => 2n ** 70n,
	circle,
	"no JSON": () => () => undefined,
};

const endpoints: readonly Endpoint<RawContext>[] = [
	{
		namespace: null,
		version: "1.5",
		methods: new Map([
			["echo", method(({ value }) => value, ["value"])],
			["add", method(({ a, b = 1 }) => Number(a) + Number(b), ["a"], ["b"])],
			["fail", method(({ kind }) => Promise.reject(FAILURES[String(kind)]?.()), ["kind"])],
			["give", method(({ kind }) => RESULTS[String(kind)]?.(), ["kind"])],
			["slow", method(({ seconds }) => sleep(Number(seconds) * 1000, "slept"), ["seconds"])],
			["note", method(() => undefined)],
			["context", method((_args, context) => Object.fromEntries(context))],
		]),
	},
	{ namespace: null, version: "1.9", methods: new Map([["newer", method(() => "1.9")]]) },
	{
		namespace: "named",
		version: "1.5",
		methods: new Map([["hello", method(({ name = "world" }) => `hello ${name}`, [], ["name"])]]),
	},
	{
		namespace: "baseapi",
		version: "1.1",
		methods: new Map([["ping", method(({ arg }) => ({ service: "conformance", arg }), ["arg"])]]),
	},
	{
		namespace: "read-back",
		version: "1.0",
		methods: new Map([
			["executions", { required: [], optional: [], handler: async () => Object.fromEntries(executed) }],
		]),
	},
];

const log = createLogger("novacompat.conformance", false, (line) => process.stderr.write(line));
const server = new RpcServer({
	transport: new RabbitTransport({
		url: parseTransportUrl(url),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-conformance",
		log,
	}),
	targets: [{ exchange: "nova", topic, server: "host" }],
	endpoints,
	deserializeContext: (raw) => raw,
	log,
	maxInFlight: 64,
	maxCallTime: 15,
	ping: true,
});
await server.start();
process.stdout.write("ready\n");
