import { describe, expect, test } from "vitest";
import { dispatch, type Endpoint, isCompatible, PING_ENDPOINT } from "../../src/messaging/endpoint.ts";
import { RpcFailure } from "../../src/messaging/errors.ts";
import { readRequest } from "../../src/messaging/message.ts";

/** implemented, requested, compatible (oslo.messaging tests/test_utils.py, VersionIsCompatibleTestCase, and more) */
const VERSIONS: readonly (readonly [implemented: string, requested: string, compatible: boolean])[] = [
	["1.0", "1.0", true],
	["1.5", "1.0", true],
	["1.0", "1.5", false],
	["2.0", "1.0", false],
	["1.0", "2.0", false],
	["1.23.3", "1.23", true],
	["1.23.3", "1.23.0", true],
	["1.23.3", "1.23.3", true],
	["1.23.2", "1.23.3", false],
	["1.24", "1.23.3", true],
	["1.23", "1.23.1", false],
	// P19: numbers, not text
	["1.10", "1.9", true],
	["1.9", "1.10", false],
	["10.0", "9.0", false],
	// What is not a version is compatible with nothing.
	["1.0", "1", false],
	["1", "1.0", false],
	["1.0", "", false],
	["1.0", "x", false],
	["1.0", "1.x", false],
	["1.0", "null", false],
	["1.0", "-1.0", false],
	["1.0", "1.0 ", false],
	["1.0", "1.0\n", false],
	["1.0", "1e0.0", false],
];

test.each(VERSIONS)("implemented %j, requested %j: %s", (implemented, requested, compatible) => {
	expect(isCompatible(implemented, requested)).toBe(compatible);
});

function endpoint(namespace: string | null, version: string, ...names: readonly string[]): Endpoint<unknown> {
	const methods = names.map((name) => [name, { required: [], optional: [], handler: async () => name }] as const);
	return { namespace, version, methods: new Map(methods) };
}

/** What a Python caller gets: the method, or the class of the failure. */
function outcome(endpoints: readonly Endpoint<unknown>[], fields: Readonly<Record<string, unknown>>): string {
	try {
		const found = dispatch(endpoints, readRequest(fields));
		return `endpoint ${endpoints.findIndex(({ methods }) => [...methods.values()].includes(found))}`;
	} catch (error) {
		return error instanceof RpcFailure ? error.excClass : String(error);
	}
}

describe("dispatch", () => {
	const SERVERS = {
		nothing: [],
		"an old one that has m and a new one that lacks it": [endpoint(null, "1.5", "m"), endpoint(null, "1.9", "other")],
		"two equal ones": [endpoint(null, "1.0", "m"), endpoint(null, "1.0", "m")],
		"two namespaces": [endpoint(null, "1.0", "m"), endpoint("baseapi", "1.1", "m", "ping")],
		'the namespace ""': [endpoint(null, "1.0", "m"), endpoint("", "1.0", "empty")],
	};

	const TABLE: readonly (readonly [
		server: keyof typeof SERVERS,
		Readonly<Record<string, unknown>>,
		outcome: string,
	])[] = [
		["nothing", { method: "m" }, "UnsupportedVersion"],
		["an old one that has m and a new one that lacks it", { method: "m", version: "1.5" }, "endpoint 0"],
		["an old one that has m and a new one that lacks it", { method: "m" }, "endpoint 0"],
		["an old one that has m and a new one that lacks it", { method: "other", version: "1.6" }, "endpoint 1"],
		["an old one that has m and a new one that lacks it", { method: "m", version: "1.6" }, "NoSuchMethod"],
		["an old one that has m and a new one that lacks it", { method: "m", version: "1.10" }, "UnsupportedVersion"],
		["an old one that has m and a new one that lacks it", { method: "nothing", version: "1.0" }, "NoSuchMethod"],
		["an old one that has m and a new one that lacks it", { method: "nothing", version: "2.0" }, "UnsupportedVersion"],
		["an old one that has m and a new one that lacks it", { method: "m", version: null }, "UnsupportedVersion"],
		["two equal ones", { method: "m" }, "endpoint 0"],
		// P21: a namespace is equal or it is another one; "" is not null.
		["two namespaces", { method: "m" }, "endpoint 0"],
		["two namespaces", { method: "m", namespace: null }, "endpoint 0"],
		["two namespaces", { method: "m", namespace: "baseapi" }, "endpoint 1"],
		["two namespaces", { method: "ping" }, "NoSuchMethod"],
		["two namespaces", { method: "m", namespace: "" }, "UnsupportedVersion"],
		["two namespaces", { method: "m", namespace: "other" }, "UnsupportedVersion"],
		['the namespace ""', { method: "empty", namespace: "" }, "endpoint 1"],
		['the namespace ""', { method: "m", namespace: "" }, "NoSuchMethod"],
		['the namespace ""', { method: "empty" }, "NoSuchMethod"],
	];
	test.each(TABLE)("P20, P21: %s: %j gets %s", (server, fields, expected) => {
		expect(outcome(SERVERS[server], fields)).toBe(expected);
	});

	test.each(["_m", "__class__", "constructor", "toString", "__proto__", "hasOwnProperty", "get", "size", ""])(
		"P22, row 34: %j is no method, although JavaScript objects have it",
		(method) => {
			expect(outcome([endpoint(null, "1.0", "m")], { method })).toBe("NoSuchMethod");
		},
	);

	test.each(["_m", "__m", "_"])("P22, row 34: %j is private, and no method although an endpoint has it", (method) => {
		expect(outcome([endpoint(null, "1.0", method)], { method })).toBe("NoSuchMethod");
	});

	test("the ping of probes stands last: what an endpoint has comes first", () => {
		const own = endpoint(null, "1.0", "oslo_rpc_server_ping");
		const fields = { method: "oslo_rpc_server_ping", args: { anything: 1 } };
		expect(outcome([endpoint(null, "6.0", "m"), PING_ENDPOINT], fields)).toBe("endpoint 1");
		expect(outcome([own, PING_ENDPOINT], { ...fields, args: {} })).toBe("endpoint 0");
		expect(outcome([PING_ENDPOINT], { ...fields, version: "1.1" })).toBe("UnsupportedVersion");
		expect(outcome([PING_ENDPOINT], { ...fields, namespace: "baseapi" })).toBe("UnsupportedVersion");
	});
});

describe("arguments that do not fit get Python's own words", () => {
	const METHOD = (required: readonly string[], optional: readonly string[]): readonly Endpoint<unknown>[] => [
		{
			namespace: null,
			version: "1.0",
			methods: new Map([["m", { required, optional, handler: async () => null }]]),
		},
	];

	/** required, optional, given, message (measured with Python 3.11) */
	const MISTAKES: readonly (readonly [readonly string[], readonly string[], readonly string[], string])[] = [
		[["a"], [], [], "m() missing 1 required positional argument: 'a'"],
		[["a", "b"], [], [], "m() missing 2 required positional arguments: 'a' and 'b'"],
		[["a", "b", "c"], [], [], "m() missing 3 required positional arguments: 'a', 'b', and 'c'"],
		[["a", "b", "c", "d"], [], ["b"], "m() missing 3 required positional arguments: 'a', 'c', and 'd'"],
		[["a", "b"], [], ["b"], "m() missing 1 required positional argument: 'a'"],
		[["a"], ["b"], ["b"], "m() missing 1 required positional argument: 'a'"],
		[[], [], ["zz"], "m() got an unexpected keyword argument 'zz'"],
		[["a"], [], ["zz"], "m() got an unexpected keyword argument 'zz'"],
		[["a"], ["b"], ["a", "b", "y", "zz"], "m() got an unexpected keyword argument 'y'"],
		[["constructor"], [], [], "m() missing 1 required positional argument: 'constructor'"],
	];
	test.each(MISTAKES)("takes %j and perhaps %j, given %j: %s", (required, optional, given, message) => {
		const args = Object.fromEntries(given.map((name) => [name, 1]));
		const call = () => dispatch(METHOD(required, optional), readRequest({ method: "m", args }));
		expect(call).toThrow(expect.objectContaining({ excClass: "TypeError", module: "builtins", message }));
	});

	test.each([
		[["a"], ["b"], ["a"]],
		[["a"], ["b"], ["a", "b"]],
		[[], [], []],
	])("takes %j and perhaps %j, given %j: fits", (required, optional, given) => {
		const args = Object.fromEntries(given.map((name) => [name, null]));
		expect(dispatch(METHOD(required, optional), readRequest({ method: "m", args }))).toBeDefined();
	});
});
