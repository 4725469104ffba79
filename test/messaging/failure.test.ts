import { describe, expect, test } from "vitest";
import { noSuchMethod, RpcFailure, typeError, unsupportedVersion, valueError } from "../../src/messaging/errors.ts";
import { decodeFailure, encodeFailure } from "../../src/messaging/failure.ts";

describe("a failure on the wire", () => {
	/** error, class, module, message */
	const FAILURES: readonly (readonly [error: RpcFailure, excClass: string, module: string, message: string])[] = [
		[noSuchMethod("m"), "NoSuchMethod", "oslo_messaging.rpc.dispatcher", "Endpoint does not support RPC method m"],
		[
			unsupportedVersion("9.9", "m"),
			"UnsupportedVersion",
			"oslo_messaging.rpc.dispatcher",
			"Endpoint does not support RPC version 9.9. Attempted method: m",
		],
		[typeError("m() got it wrong"), "TypeError", "builtins", "m() got it wrong"],
		[valueError("no"), "ValueError", "builtins", "no"],
	];
	test.each(FAILURES)(
		"P1, P27: %s has Python's shape, args its message, tb a list",
		(error, excClass, module, message) => {
			expect(JSON.parse(encodeFailure(error))).toEqual({
				class: excClass,
				module,
				message,
				tb: [],
				args: [message],
				kwargs: {},
			});
		},
	);

	test("P26: args and kwargs of a nova.exception go out as they were given", () => {
		const kwargs = { reason: "100% é\n", code: 500 };
		const error = new RpcFailure("MigrationPreCheckError", "nova.exception", "Migration pre-check error", [], kwargs);
		expect(JSON.parse(encodeFailure(error))).toMatchObject({ args: [], kwargs, message: "Migration pre-check error" });
	});

	test("P8: an integer beyond 2^53 goes out as it is", () => {
		const error = new RpcFailure("C", "m", "text", [2n ** 70n], { n: Number.NaN });
		expect(encodeFailure(error)).toContain('"args":[1180591620717411303424],"kwargs":{"n":NaN}');
	});

	test.each([new Error("/etc/secret"), new TypeError("s3cr3t"), "s3cr3t", null, undefined])(
		"what we did not throw on purpose (%s) stays in our log",
		(error) => {
			const text = encodeFailure(error);
			expect(text).not.toMatch(/secret|s3cr3t|\.ts:/);
			expect(JSON.parse(text)).toMatchObject({ class: "InternalError", module: "novacompat", tb: [] });
		},
	);

	test("P25: a class of ours is in no module that a Nova client would import", () => {
		expect(JSON.parse(encodeFailure(new Error("x"))).module).not.toMatch(/^(builtins|exceptions|nova\.exception)$/);
	});
});

describe("a failure that was received", () => {
	test("keeps class, module, message, args, kwargs and traceback", () => {
		const failure = {
			class: "InstanceNotFound",
			module: "nova.exception",
			message: "m",
			tb: ["Traceback (most recent call last):\n", "nova.exception.InstanceNotFound: m\n"],
			args: ["m"],
			kwargs: { instance_id: "i", code: 404 },
		};
		expect(decodeFailure(JSON.stringify(failure))).toMatchObject({
			excType: "InstanceNotFound",
			module: "nova.exception",
			value: "m",
			args: ["m"],
			kwargs: { instance_id: "i", code: 404 },
			traceback: failure.tb,
			message: "nova.exception.InstanceNotFound: m",
		});
	});

	test("Python 2's module of built-in exceptions has its name of today", () => {
		expect(decodeFailure('{"class":"ValueError","module":"exceptions"}')).toMatchObject({ module: "builtins" });
	});

	test.each(['{"kwargs":null}', '{"kwargs":"x"}', '{"args":null}', '{"message":null}', '{"tb":null}'])(
		"may lack parts: %s",
		(rest) => {
			const text = JSON.stringify({ class: "C", module: "m", ...JSON.parse(rest) });
			expect(decodeFailure(text)).toMatchObject({ excType: "C", module: "m", value: "" });
		},
	);

	test("P7, P8: keeps numbers of Python, and a message that is no text", () => {
		const text = '{"class":"C","module":"m","message":{"toString":1,"n":NaN},"kwargs":{"n":1180591620717411303424}}';
		expect(decodeFailure(text)).toMatchObject({ value: '{"toString":1,"n":NaN}', kwargs: { n: 2n ** 70n } });
	});

	test.each([
		['{"class":1,"module":"m"}', { excType: "1", module: "m", value: "" }],
		['{"class":"C","module":null,"message":"x"}', { excType: "C", module: "unknown", value: "x" }],
		['{"message":"x","tb":["t"]}', { excType: "unknown", module: "unknown", value: "x", traceback: ["t"] }],
	])("%s is half a failure, of which each part is kept", (text, parts) => {
		expect(decodeFailure(text)).toMatchObject(parts);
	});

	test.each([
		"",
		"not JSON",
		`{"class":"C","module":"m","kwargs":${"[".repeat(1_000)}`,
		"[]",
		"{}",
		"null",
		"1",
		'"text"',
	])("%j has not its shape, and is kept as text", (text) => {
		expect(decodeFailure(text)).toMatchObject({ excType: "unknown", module: "unknown", value: text });
	});
});
